package machineapi

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	nodeconfig "github.com/bronze-os/bronze/images/machined/internal/config"
)

// Version is part of machine.MachineServiceServer.
func (s *server) Version(context.Context, *emptypb.Empty) (*machine.VersionResponse, error) {
	version := s.opts.Version

	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version: &machine.VersionInfo{
			Tag:       version.Talos,
			Sha:       "bronze-" + version.Bronze,
			GoVersion: runtime.Version(),
			Os:        runtime.GOOS,
			Arch:      runtime.GOARCH,
		},
		Platform: &machine.PlatformInfo{Name: version.Platform, Mode: version.Platform},
		Features: &machine.FeaturesInfo{Rbac: s.opts.Config == nil || nodeconfig.RBAC(s.opts.Config())},
	}}}, nil
}

// Hostname is part of machine.MachineServiceServer.
func (s *server) Hostname(context.Context, *emptypb.Empty) (*machine.HostnameResponse, error) {
	return &machine.HostnameResponse{Messages: []*machine.Hostname{{Hostname: s.opts.Hostname}}}, nil
}

// Kubeconfig is part of machine.MachineServiceServer.
func (s *server) Kubeconfig(_ *emptypb.Empty, stream grpc.ServerStreamingServer[common.Data]) error {
	if s.opts.Kubeconfig == nil {
		return status.Error(codes.FailedPrecondition, "only control planes have a kubeconfig")
	}

	kubeconfig, err := s.opts.Kubeconfig()
	if err != nil {
		return status.Errorf(codes.Unavailable, "making a kubeconfig: %v", err)
	}

	archive, err := archiveOf("kubeconfig", kubeconfig)
	if err != nil {
		return status.Errorf(codes.Internal, "packing the kubeconfig: %v", err)
	}

	return send(stream, bytes.NewReader(archive))
}

// archiveOf packs one file into the tar.gz that clients expect.
func archiveOf(name string, content []byte) ([]byte, error) {
	var packed bytes.Buffer

	zip := gzip.NewWriter(&packed)
	files := tar.NewWriter(zip)

	err := files.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(content)), ModTime: time.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot write a tar header: %w", err)
	}

	if _, err := files.Write(content); err != nil {
		return nil, fmt.Errorf("cannot write a tar file: %w", err)
	}

	if err := files.Close(); err != nil {
		return nil, fmt.Errorf("cannot end a tar archive: %w", err)
	}

	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("cannot compress: %w", err)
	}

	return packed.Bytes(), nil
}
