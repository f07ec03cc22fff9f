package operatetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// machineServer answers for whichever node a call is for.
type machineServer struct {
	machine.UnimplementedMachineServiceServer
	nodes router
}

func (s *machineServer) Version(ctx context.Context, _ *emptypb.Empty) (*machine.VersionResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	return &machine.VersionResponse{Messages: []*machine.Version{{
		Version:  &machine.VersionInfo{Tag: "v1.13.3", Os: "linux", Arch: "amd64", GoVersion: "go1.26"},
		Platform: &machine.PlatformInfo{Name: n.address, Mode: "container"},
	}}}, nil
}

func (s *machineServer) ServiceList(ctx context.Context, _ *emptypb.Empty) (*machine.ServiceListResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	list := &machine.ServiceList{}
	for _, id := range slices.Sorted(maps.Keys(n.services)) {
		list.Services = append(list.Services, &machine.ServiceInfo{
			Id: id, State: n.services[id], Health: &machine.ServiceHealth{Healthy: n.services[id] == "Running"},
			Events: &machine.ServiceEvents{Events: []*machine.ServiceEvent{{State: n.services[id], Msg: "Service " + id + " told"}}},
		})
	}
	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{list}}, nil
}

func (s *machineServer) ServiceStop(ctx context.Context, request *machine.ServiceStopRequest) (*machine.ServiceStopResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if request.GetId() == "apid" {
		return nil, status.Error(codes.FailedPrecondition, "service \"apid\" cannot be stopped")
	}
	n.services[request.GetId()] = "Finished"
	return &machine.ServiceStopResponse{Messages: []*machine.ServiceStop{{Resp: fmt.Sprintf("Service %q stopped", request.GetId())}}}, nil
}

func (s *machineServer) ApplyConfiguration(ctx context.Context, request *machine.ApplyConfigurationRequest) (*machine.ApplyConfigurationResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	loaded, err := configloader.NewFromBytes(request.GetData())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "cannot load the machine config: %v", err)
	}
	applied := &machine.ApplyConfiguration{Mode: request.GetMode(), ModeDetails: "Applied configuration without a reboot"}
	if request.GetDryRun() {
		applied.ModeDetails = "Dry run summary:\nApplied configuration without a reboot (skipped in dry-run)."
		return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{applied}}, nil
	}
	if request.GetMode() == machine.ApplyConfigurationRequest_TRY {
		applied.ModeDetails += fmt.Sprintf("\nIt is taken back after %s", request.GetTryModeTimeout().AsDuration())
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.config = request.GetData()
	fresh := config.NewMachineConfig(loaded)
	if current, err := n.state.Get(ctx, fresh.Metadata()); err == nil {
		fresh.Metadata().SetVersion(current.Metadata().Version())
		return answered(applied), n.state.Update(ctx, fresh)
	}
	return answered(applied), n.state.Create(ctx, fresh)
}

func answered(applied *machine.ApplyConfiguration) *machine.ApplyConfigurationResponse {
	return &machine.ApplyConfigurationResponse{Messages: []*machine.ApplyConfiguration{applied}}
}

func (s *machineServer) Reboot(ctx context.Context, _ *machine.RebootRequest) (*machine.RebootResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	n.goDown(true)
	return &machine.RebootResponse{Messages: []*machine.Reboot{{}}}, nil
}

func (s *machineServer) Shutdown(ctx context.Context, _ *machine.ShutdownRequest) (*machine.ShutdownResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	n.goDown(false)
	return &machine.ShutdownResponse{Messages: []*machine.Shutdown{{}}}, nil
}

func (s *machineServer) Reset(ctx context.Context, request *machine.ResetRequest) (*machine.ResetResponse, error) {
	n, err := s.nodes.route(ctx)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(request.GetSystemPartitionsToWipe(), func(p *machine.ResetPartitionSpec) bool { return p.GetLabel() == "META" }) {
		return nil, status.Error(codes.FailedPrecondition, "a container has no META partition")
	}
	n.mutex.Lock()
	n.config = nil
	n.mutex.Unlock()
	n.goDown(request.GetReboot())
	return &machine.ResetResponse{Messages: []*machine.Reset{{}}}, nil
}

// Logs answers three lines in pieces that do not end where lines do, and goes on until the caller leaves when it follows.
func (s *machineServer) Logs(request *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	n, err := s.nodes.route(stream.Context())
	if err != nil {
		return err
	}
	if _, there := n.services[request.GetId()]; !there && request.GetNamespace() == "system" {
		return status.Errorf(codes.NotFound, "no log of %q", request.GetId())
	}
	lines := []string{"first of " + n.address, "second", "third without an end"}
	if tail := int(request.GetTailLines()); tail >= 0 && tail < len(lines) {
		lines = lines[len(lines)-tail:]
	}
	for _, piece := range slices.Collect(slices.Chunk([]byte(strings.Join(lines, "\n")), 7)) {
		if err := stream.Send(&common.Data{Bytes: piece}); err != nil {
			return err
		}
	}
	if request.GetFollow() {
		<-stream.Context().Done()
	}
	return nil
}

func (s *machineServer) Dmesg(_ *machine.DmesgRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	n, err := s.nodes.route(stream.Context())
	if err != nil {
		return err
	}
	return stream.Send(&common.Data{Bytes: []byte("kern: info: booted " + n.address + "\n")})
}

// Events sends the empty event that opens every stream, one of an unknown kind, and two that are known.
func (s *machineServer) Events(_ *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	n, err := s.nodes.route(stream.Context())
	if err != nil {
		return err
	}
	events := []*machine.Event{{}, {Id: "unknown", Data: &anypb.Any{TypeUrl: "talos/runtime/machine.Nonsense"}}}
	for id, payload := range []proto.Message{
		&machine.SequenceEvent{Sequence: "boot", Action: machine.SequenceEvent_START},
		&machine.ServiceStateEvent{Service: "kubelet", Action: machine.ServiceStateEvent_RUNNING, Message: "Started on " + n.address},
	} {
		data, err := proto.Marshal(payload)
		if err != nil {
			return err
		}
		events = append(events, &machine.Event{Id: fmt.Sprintf("id-%d", id), ActorId: "actor", Data: &anypb.Any{
			TypeUrl: "talos/runtime/" + string(payload.ProtoReflect().Descriptor().FullName()), Value: data,
		}})
	}
	for _, event := range events {
		if err := stream.Send(event); err != nil {
			return err
		}
	}
	return nil
}

func (s *machineServer) List(request *machine.ListRequest, stream grpc.ServerStreamingServer[machine.FileInfo]) error {
	if _, err := s.nodes.route(stream.Context()); err != nil {
		return err
	}
	for _, info := range []*machine.FileInfo{
		{Name: request.GetRoot(), RelativeName: ".", IsDir: true, Mode: 0o755},
		{Name: request.GetRoot() + "/os-release", RelativeName: "os-release", Size: 2048, Mode: 0o644},
		{Name: request.GetRoot() + "/gone", Error: "no such file or directory"},
	} {
		if err := stream.Send(info); err != nil {
			return err
		}
	}
	return nil
}

func (s *machineServer) Read(request *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	n, err := s.nodes.route(stream.Context())
	if err != nil {
		return err
	}
	if request.GetPath() != "/etc/os-release" {
		return status.Errorf(codes.NotFound, "cannot read %s: no such file", request.GetPath())
	}
	return stream.Send(&common.Data{Bytes: []byte("ID=" + n.address + "\n")})
}

// Copy answers an archive with a file in a directory, and one that would go outside of where it is unpacked.
func (s *machineServer) Copy(_ *machine.CopyRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	if _, err := s.nodes.route(stream.Context()); err != nil {
		return err
	}
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	archive := tar.NewWriter(zipped)
	for _, name := range []string{"etc/os-release", "../../escaped"} {
		if err := archive.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: 4, Mode: 0o644}); err != nil {
			return err
		}
		if _, err := io.WriteString(archive, "ID=x"); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := zipped.Close(); err != nil {
		return err
	}
	return stream.Send(&common.Data{Bytes: packed.Bytes()})
}
