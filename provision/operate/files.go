package operate

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// File is a file of a node.
type File = Answer[*machine.FileInfo]

// List hands on the files below a directory of each node. What cannot be looked at carries its error.
func (f *Fleet) List(ctx context.Context, request *machine.ListRequest, hear func(File) error) error {
	return receive(ctx, f, machine.MachineServiceClient.List, request, func(node string, info *machine.FileInfo) error {
		return hear(File{Node: node, Message: info})
	})
}

// Usage is how much of a node's disk a file or directory takes.
type Usage = Answer[*machine.DiskUsageInfo]

// DiskUsage hands on the sizes, in bytes, of what is below the paths of each node.
func (f *Fleet) DiskUsage(ctx context.Context, request *machine.DiskUsageRequest, hear func(Usage) error) error {
	return receive(ctx, f, machine.MachineServiceClient.DiskUsage, request, func(node string, info *machine.DiskUsageInfo) error {
		return hear(Usage{Node: node, Message: info})
	})
}

// Read writes a file of the one node to w.
func (f *Fleet) Read(ctx context.Context, path string, w io.Writer) error {
	n, err := f.one("read a file")
	if err != nil {
		return err
	}
	content, err := n.client.Read(n.to(ctx), path)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	return n.drain(content, w)
}

// Archive writes what is at a path of the one node to w, as a gzipped tar.
func (f *Fleet) Archive(ctx context.Context, path string, w io.Writer) error {
	n, err := f.one("copy files")
	if err != nil {
		return err
	}
	content, err := n.client.Copy(n.to(ctx), path)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	return n.drain(content, w)
}

// drain copies what the node streams to w, and closes it.
func (n node) drain(content io.ReadCloser, w io.Writer) error {
	if _, err := io.Copy(w, content); err != nil {
		return errors.Join(fmt.Errorf("node %s: %w", n.name, explain(err)), content.Close())
	}
	return content.Close()
}

// Copy writes what is at a path of the one node into the directory to, which is made where it is missing. Only files and
// directories are written; owners and access modes are not kept, and nothing can be written outside of to.
func (f *Fleet) Copy(ctx context.Context, path, to string) error {
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := f.Archive(ctx, path, writer)
		writer.CloseWithError(err)
		ended <- err
	}()
	unpacked := unpack(reader, to)
	// Whoever still sends is told that nobody listens.
	reader.CloseWithError(unpacked)
	if sent := <-ended; sent != nil && !errors.Is(sent, unpacked) {
		return sent
	}
	return unpacked
}

func unpack(archive io.Reader, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory to copy to: %w", err)
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return fmt.Errorf("cannot open the directory to copy to: %w", err)
	}
	defer root.Close()
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("cannot read the archive: %w", err)
	}
	for entries := tar.NewReader(unzipped); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the archive: %w", err)
		}
		if err := unpackEntry(root, header, entries); err != nil {
			return fmt.Errorf("cannot write %s: %w", header.Name, err)
		}
	}
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.FromSlash(filepath.Clean("/" + header.Name))[1:]
	if name == "" {
		name = "."
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := root.Create(name)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	default:
		return nil
	}
}
