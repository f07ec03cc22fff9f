package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	// originals keeps what a container engine wrote into the files that Shadows show otherwise, shown what is seen there
	// instead. Both end with the container, as the engine's own files do, and not with a reboot inside it.
	originals = "/run/engine/original"
	shown     = "/run/engine/shown"
)

// Shadow changes a file that a container engine gives the node and that nobody may write: /etc/hosts, say.
type Shadow struct {
	Path string
	// Content is what the file is to hold. Where it is empty, the file is as the engine made it.
	Content string
	// Append puts Content after what the engine wrote.
	Append bool
}

// Original is where the engine's own text of a file is: at path, unless a Shadow has covered it.
func Original(path string) string {
	kept := filepath.Join(originals, path)
	if _, err := os.Stat(kept); err != nil {
		return path
	}

	return kept
}

// Do writes what is to be seen, and binds it over the path the first time.
func (s Shadow) Do() error {
	covered := Original(s.Path) != s.Path
	if !covered && s.Content == "" {
		return nil
	}

	original, err := os.ReadFile(Original(s.Path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", s.Path, err)
	}

	if !covered {
		if err := (File{Path: filepath.Join(originals, s.Path), Content: string(original), Mode: 0o644}).Do(); err != nil {
			return err
		}
	}

	return s.show(s.text(string(original)))
}

func (s Shadow) text(original string) string {
	switch {
	case s.Content == "":
		return original
	case s.Append:
		return original + s.Content
	default:
		return s.Content
	}
}

func (s Shadow) show(text string) error {
	file := filepath.Join(shown, s.Path)

	if err := (Dir{Path: filepath.Dir(file), Mode: 0o755}).Do(); err != nil {
		return err
	}

	// Written in place: another file by the same name would not be the one that is bound.
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot write what %s shows: %w", s.Path, err)
	}

	source, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("cannot find what %s shows: %w", s.Path, err)
	}

	if target, err := os.Stat(s.Path); err == nil && os.SameFile(source, target) {
		return nil
	}

	return Mount{Source: file, Target: s.Path, Flags: unix.MS_BIND}.Do()
}
