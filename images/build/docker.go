package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// Docker is the Docker engine as an Engine. Its client is the caller's, who closes it.
type Docker struct {
	Client *client.Client
}

// ImageID implements Engine.
func (d Docker) ImageID(ctx context.Context, reference string) (string, error) {
	image, err := d.Client.ImageInspect(ctx, reference)
	if errdefs.IsNotFound(err) {
		return "", nil
	}

	return image.ID, err
}

// LoadImages implements Engine. The engine tells of a failure in its answer's stream, not by a status.
func (d Docker) LoadImages(ctx context.Context, archive io.Reader) error {
	answer, err := d.Client.ImageLoad(ctx, archive, client.ImageLoadWithQuiet(true))
	if err != nil {
		return err
	}
	defer answer.Close()

	for decoder := json.NewDecoder(answer); ; {
		var message struct {
			Error string `json:"error"`
		}

		switch err := decoder.Decode(&message); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("cannot read the engine's answer: %w", err)
		case message.Error != "":
			return fmt.Errorf("engine cannot load the image: %s", message.Error)
		}
	}
}

// RemoveImage implements Engine. It asks for names first: an engine would take an image's only name away along with it.
func (d Docker) RemoveImage(ctx context.Context, id string) error {
	image, err := d.Client.ImageInspect(ctx, id)
	if err == nil && len(image.RepoTags) == 0 {
		_, err = d.Client.ImageRemove(ctx, id, client.ImageRemoveOptions{})
	}

	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}

	return err
}

// ListImages implements Engine.
func (d Docker) ListImages(ctx context.Context, repository string) ([]Loaded, error) {
	list, err := d.Client.ImageList(ctx, client.ImageListOptions{
		Filters: client.Filters{}.Add("reference", repository),
	})
	if err != nil {
		return nil, err
	}

	var images []Loaded

	for _, image := range list.Items {
		for _, reference := range image.RepoTags {
			images = append(images, Loaded{
				Reference:  reference,
				ID:         image.ID,
				Created:    time.Unix(image.Created, 0).UTC(),
				Bytes:      image.Size,
				Kubernetes: image.Labels["bronze.version.kubernetes"],
			})
		}
	}

	return images, nil
}
