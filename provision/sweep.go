package provision

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// litter lists what processes that died left in the state directory: locks that nobody holds, files that were never
// renamed into their place, and records that are not whole of clusters of which the engine has nothing.
func (s *Store) litter(now time.Time, seen func(cluster string) bool) ([]Litter, error) {
	var found []Litter
	err := filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return gone(err)
		}
		cluster, why := s.judge(path, entry, seen)
		if why == "" || s.isHeld(cluster) {
			return nil
		}
		info, err := entry.Info()
		if err != nil || now.Sub(info.ModTime()) < litterAge {
			return gone(err)
		}
		found = append(found, Litter{Kind: LitterFile, Name: path, Cluster: cluster, Why: why})
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for litter in %s: %w", s.dir, err)
	}
	return found, nil
}

// gone takes the error of a file that somebody has just removed for none.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// judge tells why a file or directory would be litter if it is old enough and nobody holds the cluster; nothing where it
// would not.
func (s *Store) judge(path string, entry fs.DirEntry, seen func(string) bool) (cluster, why string) {
	relative, err := filepath.Rel(s.dir, path)
	if err != nil {
		return "", ""
	}
	words := strings.Split(filepath.ToSlash(relative), "/")
	if words[0] == clustersDir && len(words) > 1 {
		cluster = words[1]
	}
	locked, isLock := strings.CutSuffix(relative, lockSuffix)
	switch {
	case entry.IsDir() && cluster != "" && len(words) == 2 && !recorded(s.dir, cluster) && !seen(cluster):
		return cluster, "the record is not whole, and the engine has nothing of the cluster"
	case entry.IsDir():
		return "", ""
	case isLock && len(words) == 1 && CheckName(locked) == nil:
		return locked, "nobody holds the lock"
	case isPart(entry.Name()):
		return cluster, "who wrote it died before it was whole"
	default:
		return "", ""
	}
}

// isPart tells the names of files that are to be renamed: those of WriteFile, and those of snapshots.
func isPart(name string) bool {
	if strings.HasSuffix(name, ".part") {
		return true
	}
	digits := name[strings.LastIndexByte(name, '.')+1:]
	return strings.HasPrefix(name, ".") && strings.Count(name, ".") > 1 && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// sweep removes a piece of litter that litter listed, where it still is one.
func (s *Store) sweep(one Litter) error {
	if one.Cluster == "" {
		return removeFile(one.Name)
	}
	// Releasing the lock removes its file, whoever made it.
	lock, err := s.Lock(one.Cluster)
	var held *HeldError
	if errors.As(err, &held) {
		return nil
	}
	if err != nil {
		return err
	}
	if one.Name == s.clusterDir(one.Cluster) && !recorded(s.dir, one.Cluster) {
		err = s.Remove(one.Cluster)
	} else if isPart(filepath.Base(one.Name)) {
		err = removeFile(one.Name)
	}
	return errors.Join(err, lock.Release())
}

// isHeld tells whether a process holds the cluster's lock, and leaves the lock as it is.
func (s *Store) isHeld(cluster string) bool {
	if CheckName(cluster) != nil {
		return false
	}
	file, err := os.OpenFile(filepath.Join(s.dir, cluster+lockSuffix), os.O_RDWR, fileMode)
	if err != nil {
		return false
	}
	defer file.Close()
	return errors.Is(lockFile(file), errHeld)
}
