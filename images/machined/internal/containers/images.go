package containers

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"time"

	contentapi "github.com/containerd/containerd/api/services/content/v1"
	imagesapi "github.com/containerd/containerd/api/services/images/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// manifestLimit is the size in bytes of the largest manifest that is read; the specification asks registries for 4 MiB.
const manifestLimit = 4 << 20

// Image is one image that containerd holds.
type Image struct {
	Name, Digest string
	// Size is that of all parts for this machine as they are fetched, in bytes.
	Size    int64
	Created time.Time
	Labels  map[string]string
}

// Images calls yield with each image of a namespace.
func (c *Client) Images(ctx context.Context, namespace string, yield func(Image) error) error {
	ctx = in(ctx, namespace)

	listed, err := imagesapi.NewImagesClient(c.conn).List(ctx, &imagesapi.ListImagesRequest{})
	if err != nil {
		return err
	}

	for _, one := range listed.Images {
		size, err := c.size(ctx, one.Target.GetDigest(), one.Target.GetSize())
		if err != nil {
			return err
		}

		err = yield(Image{
			Name: one.Name, Digest: one.Target.GetDigest(), Size: size, Created: one.CreatedAt.AsTime(), Labels: one.Labels,
		})
		if err != nil {
			return err
		}
	}

	return nil
}

// Remove forgets an image; NotFound means that there is none of that name. Its content goes when nothing else needs it.
func (c *Client) Remove(ctx context.Context, namespace, name string) error {
	_, err := imagesapi.NewImagesClient(c.conn).Delete(in(ctx, namespace), &imagesapi.DeleteImageRequest{Name: name, Sync: true})

	return err
}

// manifest is what an image's manifest and an index of manifests have in common.
type manifest struct {
	Manifests []descriptor
	Config    descriptor
	Layers    []descriptor
}

type descriptor struct {
	Digest   string
	Size     int64
	Platform struct{ Architecture, OS string }
}

// size adds up the manifest of that digest and size and what it names. Of an index, the manifest for this machine counts.
func (c *Client) size(ctx context.Context, digest string, own int64) (int64, error) {
	text, err := c.blob(ctx, digest)
	if status.Code(err) == codes.NotFound {
		// A part that was never fetched takes nothing.
		return 0, nil
	}

	if err != nil {
		return 0, err
	}

	var read manifest
	// What is no manifest names nothing more.
	_ = json.Unmarshal(text, &read)

	total := own + read.Config.Size
	for _, layer := range read.Layers {
		total += layer.Size
	}

	for _, one := range read.Manifests {
		if one.Platform.OS == runtime.GOOS && one.Platform.Architecture == runtime.GOARCH || len(read.Manifests) == 1 {
			part, err := c.size(ctx, one.Digest, one.Size)

			return total + part, err
		}
	}

	return total, nil
}

// blob reads a small piece of content.
func (c *Client) blob(ctx context.Context, digest string) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	stream, err := contentapi.NewContentClient(c.conn).Read(ctx, &contentapi.ReadContentRequest{Digest: digest})
	if err != nil {
		return nil, err
	}

	var whole []byte

	for len(whole) <= manifestLimit {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return whole, nil
		}

		if err != nil {
			return nil, err
		}

		whole = append(whole, part.Data...)
	}

	return nil, status.Errorf(codes.ResourceExhausted, "the manifest %s is larger than %d bytes", digest, manifestLimit)
}
