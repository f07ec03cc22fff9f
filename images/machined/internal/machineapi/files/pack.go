package files

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// unsizedLimit is how many bytes are taken of a file whose size the kernel does not tell, as those in /proc.
const unsizedLimit = 1 << 20

// Pack writes root and all below it as a tar.gz: directories, files and symbolic links, named as below root, or as root's
// own name where that is a file. What cannot be read is left out, and the error tells the first of it; the archive is
// whole all the same. Errors of the writer and the end of ctx break it off.
func Pack(ctx context.Context, root string, to io.Writer) error {
	zip, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("cannot compress: %w", err)
	}

	p := packer{ctx: ctx, archive: tar.NewWriter(zip)}
	if err := Walk(ctx, root, Unlimited, p.add); err != nil {
		return err
	}

	if err := errors.Join(p.archive.Close(), zip.Close()); err != nil {
		return fmt.Errorf("ending the archive: %w", err)
	}

	if p.skipped > 0 {
		return fmt.Errorf("left out %d: %w", p.skipped, p.first)
	}

	return nil
}

type packer struct {
	ctx     context.Context
	archive *tar.Writer
	// skipped counts what could not be read, and first is the first such error.
	skipped int
	first   error
}

func (p *packer) skip(err error) error {
	p.skipped++

	if p.first == nil {
		p.first = err
	}

	return nil
}

func (p *packer) add(entry Entry) error {
	if entry.Err != nil {
		return p.skip(entry.Err)
	}

	mode := entry.Info.Mode()
	if !mode.IsRegular() && !mode.IsDir() && mode&fs.ModeSymlink == 0 {
		return nil
	}

	header, err := tar.FileInfoHeader(entry.Info, entry.Link)
	if err != nil {
		return p.skip(err)
	}

	header.Name = entry.Relative
	if entry.Depth == 0 && !mode.IsDir() {
		header.Name = filepath.Base(entry.Path)
	}

	if mode.IsRegular() {
		return p.addFile(entry.Path, header)
	}

	return p.archive.WriteHeader(header)
}

func (p *packer) addFile(path string, header *tar.Header) error {
	file, err := Open(p.ctx, path)
	if err != nil {
		return p.skip(err)
	}
	defer file.Close()

	content := io.Reader(file)

	if unsized(path) {
		text, err := io.ReadAll(io.LimitReader(file, unsizedLimit))
		if err != nil {
			return p.skip(err)
		}

		header.Size, content = int64(len(text)), bytes.NewReader(text)
	}

	if err := p.archive.WriteHeader(header); err != nil {
		return err
	}

	return p.copy(content, header.Size)
}

// copy writes exactly size bytes: the header has promised them, and a file may change meanwhile. What is missing becomes
// zeros.
func (p *packer) copy(content io.Reader, size int64) error {
	written := &counter{to: p.archive}

	_, err := io.CopyN(written, content, size)
	if written.err != nil {
		return written.err
	}

	if err == nil {
		return nil
	}

	if err := p.ctx.Err(); err != nil {
		return err
	}

	if !errors.Is(err, io.EOF) {
		_ = p.skip(err)
	}

	_, err = io.CopyN(p.archive, zeros{}, size-written.n)

	return err
}

// counter counts, and tells errors of the writer from those of the reader.
type counter struct {
	to  io.Writer
	n   int64
	err error
}

// Write is part of io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	c.err = err

	return n, err
}

type zeros struct{}

// Read is part of io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// unsized tells whether the file lies in a file system whose sizes mean nothing: /proc/kcore claims to be larger than any
// disk, and most others there to be empty.
func unsized(path string) bool {
	var stat unix.Statfs_t
	if unix.Statfs(path, &stat) != nil {
		return false
	}

	switch stat.Type {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.SECURITYFS_MAGIC,
		unix.CGROUP_SUPER_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.BPF_FS_MAGIC:
		return true
	default:
		return false
	}
}
