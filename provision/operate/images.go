package operate

import (
	"context"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc"
)

// Image is an image that a node holds.
type Image = Answer[*machine.ImageServiceListResponse]

// ParseImageNamespace reads where images are looked for: cri, which is Kubernetes's, or system, which is the node's own.
func ParseImageNamespace(text string) (common.ContainerdNamespace, error) {
	switch text {
	case "cri":
		return common.ContainerdNamespace_NS_CRI, nil
	case "system":
		return common.ContainerdNamespace_NS_SYSTEM, nil
	default:
		return 0, fmt.Errorf("want cri or system")
	}
}

// instance is the containerd that holds the images: nodes have one, which is that of the CRI.
func instance(namespace common.ContainerdNamespace) *common.ContainerdInstance {
	return &common.ContainerdInstance{Driver: common.ContainerDriver_CRI, Namespace: namespace}
}

// Images hands on the images that each node holds.
func (f *Fleet) Images(ctx context.Context, namespace common.ContainerdNamespace, hear func(Image) error) error {
	request := &machine.ImageServiceListRequest{Containerd: instance(namespace)}
	open := func(ctx context.Context, n node) (grpc.ServerStreamingClient[machine.ImageServiceListResponse], error) {
		return n.client.ImageClient.List(ctx, request)
	}
	return receiveEach(ctx, f, open, func(node string, image *machine.ImageServiceListResponse) error {
		return hear(Image{Node: node, Message: image})
	})
}

// Pulled is the name under which a node holds an image that it pulled.
type Pulled struct {
	Node, Name string
}

// PullImage makes every node pull an image, and hands on under what name each holds it.
func (f *Fleet) PullImage(ctx context.Context, namespace common.ContainerdNamespace, reference string, hear func(Pulled) error) error {
	request := &machine.ImageServicePullRequest{Containerd: instance(namespace), ImageRef: reference}
	open := func(ctx context.Context, n node) (grpc.ServerStreamingClient[machine.ImageServicePullResponse], error) {
		return n.client.ImageClient.Pull(ctx, request)
	}
	return receiveEach(ctx, f, open, func(node string, progress *machine.ImageServicePullResponse) error {
		if progress.GetName() == "" {
			// It tells of a layer.
			return nil
		}
		return hear(Pulled{Node: node, Name: progress.GetName()})
	})
}
