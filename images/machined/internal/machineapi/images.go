package machineapi

import (
	"context"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/bronze-os/bronze/images/machined/internal/containers"
)

// ImageList is part of machine.MachineServiceServer.
func (s *server) ImageList(request *machine.ImageListRequest, stream grpc.ServerStreamingServer[machine.ImageListResponse]) error {
	return s.eachImage(stream.Context(), request.Namespace, func(image containers.Image) error {
		return stream.Send(&machine.ImageListResponse{
			Name: image.Name, Digest: image.Digest, Size: image.Size, CreatedAt: timestamppb.New(image.Created),
		})
	})
}

// ImagePull is part of machine.MachineServiceServer.
func (s *server) ImagePull(ctx context.Context, request *machine.ImagePullRequest) (*machine.ImagePullResponse, error) {
	if _, err := s.pull(ctx, request.Namespace, request.Reference, func(containers.Progress) {}); err != nil {
		return nil, err
	}

	return &machine.ImagePullResponse{Messages: []*machine.ImagePull{{}}}, nil
}

func (s *server) eachImage(ctx context.Context, which common.ContainerdNamespace, yield func(containers.Image) error) error {
	namespace, err := namespaceOf(which)
	if err != nil {
		return err
	}

	if err := s.opts.Containers.Images(ctx, namespace, yield); err != nil {
		return containerdError("listing images", err)
	}

	return nil
}

// pull fetches an image, and answers its whole name.
func (s *server) pull(
	ctx context.Context, which common.ContainerdNamespace, short string, progress func(containers.Progress),
) (string, error) {
	namespace, err := namespaceOf(which)
	if err != nil {
		return "", err
	}

	whole, err := wholeReference(short)
	if err != nil {
		return "", err
	}

	if err := s.opts.Containers.Pull(ctx, namespace, whole, s.opts.RegistryHosts, progress); err != nil {
		return "", containerdError("pulling "+whole, err)
	}

	return whole, nil
}

// wholeReference adds the registry and tag that users leave out.
func wholeReference(short string) (string, error) {
	named, err := reference.ParseDockerRef(short)
	if err != nil {
		return "", status.Errorf(codes.InvalidArgument, "%q is not the name of an image: %v", short, err)
	}

	return named.String(), nil
}

func namespaceOf(which common.ContainerdNamespace) (string, error) {
	switch which {
	case common.ContainerdNamespace_NS_SYSTEM:
		return constants.SystemContainerdNamespace, nil
	case common.ContainerdNamespace_NS_CRI:
		return constants.K8sContainerdNamespace, nil
	default:
		return "", status.Errorf(codes.InvalidArgument, "there is no namespace %s of images: it is %s or %s", which,
			common.ContainerdNamespace_NS_SYSTEM, common.ContainerdNamespace_NS_CRI)
	}
}

// images is the newer service, over the same calls.
type images struct {
	machine.UnimplementedImageServiceServer
	*server
}

// List is part of machine.ImageServiceServer.
func (i images) List(request *machine.ImageServiceListRequest, stream grpc.ServerStreamingServer[machine.ImageServiceListResponse]) error {
	return i.eachImage(stream.Context(), request.GetContainerd().GetNamespace(), func(image containers.Image) error {
		return stream.Send(&machine.ImageServiceListResponse{
			Name: image.Name, Digest: image.Digest, Size: image.Size, CreatedAt: timestamppb.New(image.Created), Labels: image.Labels,
		})
	})
}

// Pull is part of machine.ImageServiceServer.
func (i images) Pull(request *machine.ImageServicePullRequest, stream grpc.ServerStreamingServer[machine.ImageServicePullResponse]) error {
	begin := time.Now()

	name, err := i.pull(stream.Context(), request.GetContainerd().GetNamespace(), request.ImageRef, func(step containers.Progress) {
		if layer := layerProgress(step, time.Since(begin)); layer != nil {
			// A caller that is gone ends the call's context, and with it the pull.
			_ = stream.Send(&machine.ImageServicePullResponse{
				Response: &machine.ImageServicePullResponse_PullProgress{PullProgress: layer},
			})
		}
	})
	if err != nil {
		return err
	}

	return stream.Send(&machine.ImageServicePullResponse{Response: &machine.ImageServicePullResponse_Name{Name: name}})
}

// layerProgress puts containerd's step into the API's words; nil for one that is of no layer.
func layerProgress(step containers.Progress, elapsed time.Duration) *machine.ImageServicePullProgress {
	layer := &machine.ImageServicePullLayerProgress{
		Elapsed: durationpb.New(elapsed), Offset: step.Done, Total: step.Total,
	}

	switch step.Event {
	case "waiting", "downloading":
		layer.Status = machine.ImageServicePullLayerProgress_DOWNLOADING
	case "complete":
		layer.Status = machine.ImageServicePullLayerProgress_DOWNLOAD_COMPLETE
	case "extracting":
		layer.Status = machine.ImageServicePullLayerProgress_EXTRACTING
	case "extracted":
		layer.Status = machine.ImageServicePullLayerProgress_EXTRACT_COMPLETE
	case "already exists":
		layer.Status = machine.ImageServicePullLayerProgress_ALREADY_EXISTS
	default:
		return nil
	}

	return &machine.ImageServicePullProgress{LayerId: step.Name, Progress: layer}
}

// Import is part of machine.ImageServiceServer.
func (i images) Import(stream grpc.ClientStreamingServer[machine.ImageServiceImportRequest, machine.ImageServiceImportResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}

	if first.GetContainerd() == nil {
		return status.Error(codes.InvalidArgument, "the first message must name the containerd namespace")
	}

	namespace, err := namespaceOf(first.GetContainerd().GetNamespace())
	if err != nil {
		return err
	}

	names, err := i.opts.Containers.Import(stream.Context(), namespace, &archiveReader{stream: stream})
	if err != nil {
		return containerdError("importing an image", err)
	}

	return stream.SendAndClose(&machine.ImageServiceImportResponse{Name: strings.Join(names, ", ")})
}

// archiveReader is what arrives as chunks.
type archiveReader struct {
	stream grpc.ClientStreamingServer[machine.ImageServiceImportRequest, machine.ImageServiceImportResponse]
	rest   []byte
}

// Read is part of io.Reader.
func (a *archiveReader) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		message, err := a.stream.Recv()
		if err != nil {
			// The end of the stream is io.EOF to gRPC too.
			return 0, err
		}

		a.rest = message.GetImageChunk().GetBytes()
	}

	n := copy(p, a.rest)
	a.rest = a.rest[n:]

	return n, nil
}

// Remove is part of machine.ImageServiceServer. The name may be short, or exactly as it is listed.
func (i images) Remove(ctx context.Context, request *machine.ImageServiceRemoveRequest) (*emptypb.Empty, error) {
	namespace, err := namespaceOf(request.GetContainerd().GetNamespace())
	if err != nil {
		return nil, err
	}

	err = i.opts.Containers.Remove(ctx, namespace, request.ImageRef)
	if whole, bad := wholeReference(request.ImageRef); status.Code(err) == codes.NotFound && bad == nil {
		err = i.opts.Containers.Remove(ctx, namespace, whole)
	}

	if err != nil {
		return nil, containerdError("removing "+request.ImageRef, err)
	}

	return &emptypb.Empty{}, nil
}
