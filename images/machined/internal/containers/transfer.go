package containers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	streamingapi "github.com/containerd/containerd/api/services/streaming/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/transfer"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// chunkSize is how many bytes of an archive go into one message.
const chunkSize = 32 << 10

// Progress is a step of a pull or import. Event is containerd's word for it, Name the layer or image that it is about, and
// Done and Total are bytes.
type Progress struct {
	Event, Name string
	Done, Total int64
}

// Pull fetches an image by the registry hosts of a directory, as the CRI does, and unpacks it. The reference is a whole
// one, with its registry. It calls progress, in order, until it returns.
func (c *Client) Pull(ctx context.Context, namespace, reference, hosts string, progress func(Progress)) error {
	ctx = in(ctx, namespace)

	err := c.transfer(ctx,
		&transfer.OCIRegistry{Reference: reference, Resolver: &transfer.RegistryResolver{HostDir: hosts}},
		&transfer.ImageStore{Name: reference, Platforms: []*types.Platform{own()}, Unpacks: []*transfer.UnpackConfiguration{{Platform: own()}}},
		progress)
	if err == nil && namespace == namespaceCRI {
		c.awaitCRI(ctx, reference)
	}

	return err
}

// Import reads an archive of images, as `docker save` writes it, and unpacks them. It answers their names.
func (c *Client) Import(outer context.Context, namespace string, archive io.Reader) ([]string, error) {
	ctx, cancel := context.WithCancel(in(outer, namespace))
	defer cancel()

	id, stream, err := c.stream(ctx)
	if err != nil {
		return nil, err
	}

	var names []string

	group, grouped := errgroup.WithContext(ctx)

	group.Go(func() error { return feed(stream, archive) })
	group.Go(func() error {
		// The feeder may still wait for containerd to take more.
		defer cancel()

		return c.transfer(grouped, &transfer.ImageImportStream{Stream: id}, &transfer.ImageStore{
			// All platforms are taken, as some archives do not tell theirs.
			Unpacks: []*transfer.UnpackConfiguration{{Platform: own()}},
			// The names are in the archive; this is for those that are a tag only.
			ExtraReferences: []*transfer.ImageReference{{Name: "import", IsPrefix: true, AllowOverwrite: true}},
		}, func(step Progress) {
			if step.Event == "saved" {
				names = append(names, step.Name)
			}
		})
	})

	if err := group.Wait(); err != nil {
		return nil, err
	}

	if len(names) == 0 {
		return nil, status.Error(codes.InvalidArgument, "the archive holds no image that has a name")
	}

	if namespace == namespaceCRI {
		c.awaitCRI(in(outer, namespace), names...)
	}

	return names, nil
}

const (
	// namespaceCRI is the one namespace of the CRI.
	namespaceCRI = "k8s.io"
	// The CRI marks images that it knows with this label.
	labelKnown = "io.cri-containerd.image"
	// knownLimit is how long the CRI has for that, and knownPause lies between two looks.
	knownLimit = 3 * time.Second
	knownPause = 10 * time.Millisecond
)

// awaitCRI waits until the CRI knows images, or long enough. It learns of them by events and then writes to them: an image
// that is removed in between would come back.
func (c *Client) awaitCRI(ctx context.Context, names ...string) {
	ctx, cancel := context.WithTimeout(ctx, knownLimit)
	defer cancel()

	ticker := time.NewTicker(knownPause)
	defer ticker.Stop()

	for _, name := range names {
		for {
			found, err := imagesapi.NewImagesClient(c.conn).Get(ctx, &imagesapi.GetImageRequest{Name: name})
			if err != nil || found.GetImage().GetLabels()[labelKnown] != "" {
				break
			}

			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// own is the platform of this machine.
func own() *types.Platform {
	return &types.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
}

// transfer has containerd copy from one place to another.
func (c *Client) transfer(ctx context.Context, from, to proto.Message, progress func(Progress)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	id, stream, err := c.stream(ctx)
	if err != nil {
		return err
	}

	source, err := packed(from)
	if err != nil {
		return err
	}

	destination, err := packed(to)
	if err != nil {
		return err
	}

	told := make(chan struct{})

	go func() {
		defer close(told)
		follow(stream, progress)
	}()

	_, err = transferapi.NewTransferClient(c.conn).Transfer(ctx, &transferapi.TransferRequest{
		Source: source, Destination: destination, Options: &transferapi.TransferOptions{ProgressStream: id},
	})

	// containerd closes the stream when the transfer ends, with all progress in it; where it failed, nobody waits for that.
	if err != nil {
		cancel()
	}

	<-told

	return err
}

// follow tells the progress that arrives until the stream ends.
func follow(stream streamingapi.Streaming_StreamClient, progress func(Progress)) {
	for {
		message, err := stream.Recv()
		if err != nil {
			return
		}

		var step transfer.Progress
		if proto.Unmarshal(message.Value, &step) == nil {
			progress(Progress{Event: step.Event, Name: step.Name, Done: step.Progress, Total: step.Total})
		}
	}
}

// stream opens one of containerd's streams, which transfers refer to by ID. It ends with ctx.
func (c *Client) stream(ctx context.Context) (string, streamingapi.Streaming_StreamClient, error) {
	stream, err := streamingapi.NewStreamingClient(c.conn).Stream(ctx)
	if err != nil {
		return "", nil, err
	}

	id := "bronze-" + rand.Text()

	begin, err := packed(&streamingapi.StreamInit{ID: id})
	if err != nil {
		return "", nil, err
	}

	if err := stream.Send(begin); err != nil {
		return "", nil, err
	}

	// The first answer says that the ID is known; a transfer that came earlier would not find it.
	_, err = stream.Recv()

	return id, stream, err
}

// packed puts a message into the envelope of containerd, whose names of types have no prefix.
func packed(message proto.Message) (*anypb.Any, error) {
	value, err := proto.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("cannot encode %T: %w", message, err)
	}

	return &anypb.Any{TypeUrl: string(message.ProtoReflect().Descriptor().FullName()), Value: value}, nil
}

// feed sends all of archive, never more than the other side has said that it takes.
func feed(stream grpc.BidiStreamingClient[anypb.Any, anypb.Any], archive io.Reader) error {
	buffer := make([]byte, chunkSize)

	for window := 0; ; {
		for window == 0 {
			more, ok := awaitWindow(stream)
			if !ok {
				return nil
			}

			window += more
		}

		n, err := archive.Read(buffer[:min(window, len(buffer))])
		if n > 0 {
			window -= n

			if !sendChunk(stream, buffer[:n]) {
				return nil
			}
		}

		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}

		if err != nil {
			return err
		}
	}
}

// sendChunk sends some of the archive; false means that the stream is over, and the transfer tells why.
func sendChunk(stream grpc.BidiStreamingClient[anypb.Any, anypb.Any], chunk []byte) bool {
	message, err := packed(&transfer.Data{Data: chunk})

	return err == nil && stream.Send(message) == nil
}

// awaitWindow blocks until the other side takes more, and answers how many bytes; false means that the stream is over.
func awaitWindow(stream grpc.BidiStreamingClient[anypb.Any, anypb.Any]) (int, bool) {
	message, err := stream.Recv()
	if err != nil {
		return 0, false
	}

	var window transfer.WindowUpdate
	err = proto.Unmarshal(message.Value, &window)

	return max(0, int(window.Update)), err == nil
}
