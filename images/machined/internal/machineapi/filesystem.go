package machineapi

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/files"
)

// List is part of machine.MachineServiceServer. As in Talos, a recursion depth of 0 has no end.
func (s *server) List(request *machine.ListRequest, stream grpc.ServerStreamingServer[machine.FileInfo]) error {
	root, err := absolute(request.Root)
	if err != nil {
		return err
	}

	depth := 1
	if request.Recurse {
		depth = int(request.RecursionDepth)
	}

	if depth <= 0 {
		depth = files.Unlimited
	}

	err = files.Walk(stream.Context(), root, depth, func(entry files.Entry) error {
		if !wantsType(request.Types, entry) {
			return nil
		}

		return stream.Send(fileInfo(entry, request.ReportXattrs))
	})

	return fileError("listing "+root, err)
}

// wantsType tells whether an entry is of one of the types; none are all.
func wantsType(types []machine.ListRequest_Type, entry files.Entry) bool {
	if len(types) == 0 || entry.Info == nil {
		return true
	}

	return slices.ContainsFunc(types, func(one machine.ListRequest_Type) bool {
		switch one {
		case machine.ListRequest_REGULAR:
			return entry.Info.Mode().IsRegular()
		case machine.ListRequest_DIRECTORY:
			return entry.Info.IsDir()
		case machine.ListRequest_SYMLINK:
			return entry.Info.Mode()&fs.ModeSymlink != 0
		default:
			return false
		}
	})
}

func fileInfo(entry files.Entry, attributes bool) *machine.FileInfo {
	info := &machine.FileInfo{Name: entry.Path, RelativeName: entry.Relative, Link: entry.Link}

	if entry.Err != nil {
		info.Error = entry.Err.Error()
	}

	if entry.Info == nil {
		return info
	}

	info.Size = entry.Info.Size()
	info.Mode = uint32(entry.Info.Mode())
	info.Modified = entry.Info.ModTime().Unix()
	info.IsDir = entry.Info.IsDir()

	if stat, ok := entry.Info.Sys().(*syscall.Stat_t); ok {
		info.Uid, info.Gid = stat.Uid, stat.Gid
	}

	if attributes {
		info.Xattrs = attributesOf(entry.Path)
	}

	return info
}

// attributesOf reads a file's extended attributes; a file system without any has none.
func attributesOf(path string) []*machine.Xattr {
	names := sized(func(to []byte) (int, error) { return unix.Llistxattr(path, to) })
	if len(names) == 0 {
		return nil
	}

	var all []*machine.Xattr

	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		all = append(all, &machine.Xattr{
			Name: name,
			Data: sized(func(to []byte) (int, error) { return unix.Lgetxattr(path, name, to) }),
		})
	}

	return all
}

// sized asks the kernel how long an answer is, then for the answer; nil where there is none.
func sized(ask func(to []byte) (int, error)) []byte {
	size, err := ask(nil)
	if err != nil || size == 0 {
		return nil
	}

	answer := make([]byte, size)
	if size, err = ask(answer); err != nil {
		return nil
	}

	return answer[:size]
}

// DiskUsage is part of machine.MachineServiceServer. A threshold leaves out what is smaller, a negative one what is larger.
func (s *server) DiskUsage(request *machine.DiskUsageRequest, stream grpc.ServerStreamingServer[machine.DiskUsageInfo]) error {
	paths := request.Paths
	if len(paths) == 0 {
		paths = []string{"/"}
	}

	for _, path := range paths {
		root, err := absolute(path)
		if err != nil {
			return err
		}

		err = files.MeasureUsage(stream.Context(), root, int(request.RecursionDepth), request.All, func(usage files.Usage) error {
			if usage.Err == nil && !reaches(usage.Size, request.Threshold) {
				return nil
			}

			return stream.Send(usageInfo(usage, root, len(paths) > 1))
		})
		if err != nil && stream.Context().Err() == nil {
			// The other paths can be measured all the same.
			err = stream.Send(&machine.DiskUsageInfo{Name: root, RelativeName: root, Error: err.Error()})
		}

		if err != nil {
			return fileError("measuring "+root, err)
		}
	}

	return nil
}

func reaches(size, threshold int64) bool {
	if threshold < 0 {
		return size <= -threshold
	}

	return size >= threshold
}

// usageInfo names things as below their root, or with it where there are several.
func usageInfo(usage files.Usage, root string, several bool) *machine.DiskUsageInfo {
	info := &machine.DiskUsageInfo{Name: usage.Path, RelativeName: usage.Relative, Size: usage.Size}

	if several {
		info.RelativeName = filepath.Join(root, usage.Relative)
	}

	if usage.Err != nil {
		info.Error = usage.Err.Error()
	}

	return info
}

// Read is part of machine.MachineServiceServer.
func (s *server) Read(request *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	path, err := absolute(request.Path)
	if err != nil {
		return err
	}

	file, err := files.Open(stream.Context(), path)
	if err != nil {
		return fileError("reading "+path, err)
	}
	defer file.Close()

	return send(stream, file)
}

// Copy is part of machine.MachineServiceServer. What could not be read is told after the archive, as in Talos.
func (s *server) Copy(request *machine.CopyRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	root, err := absolute(request.RootPath)
	if err != nil {
		return err
	}

	chunks := bufio.NewWriterSize(dataWriter{stream: stream}, chunkSize)

	if err := files.Pack(stream.Context(), root, chunks); err != nil {
		if flushed := chunks.Flush(); flushed != nil {
			return flushed
		}

		return fileError("packing "+root, err)
	}

	return chunks.Flush()
}

// dataWriter sends what is written to it.
type dataWriter struct {
	stream grpc.ServerStreamingServer[common.Data]
}

// Write is part of io.Writer.
func (d dataWriter) Write(p []byte) (int, error) {
	if err := d.stream.Send(&common.Data{Bytes: slices.Clone(p)}); err != nil {
		return 0, err
	}

	return len(p), nil
}

// absolute refuses paths that depend on where machined happens to be; an empty one is the root.
func absolute(path string) (string, error) {
	if path == "" {
		return "/", nil
	}

	if !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
		return "", status.Errorf(codes.InvalidArgument, "the path %q must be absolute", path)
	}

	return filepath.Clean(path), nil
}

// fileError gives an error of the file system the code that fits; those of streams have one already.
func fileError(act string, err error) error {
	var code codes.Code

	switch _, coded := status.FromError(err); {
	case err == nil || coded:
		return err
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		code = codes.NotFound
	case errors.Is(err, fs.ErrPermission):
		code = codes.PermissionDenied
	case errors.Is(err, files.ErrNotRegular), errors.Is(err, unix.ENAMETOOLONG), errors.Is(err, unix.ELOOP):
		code = codes.InvalidArgument
	default:
		code = codes.Internal
	}

	return status.Errorf(code, "%s: %v", act, err)
}
