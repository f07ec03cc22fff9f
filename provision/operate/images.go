package operate

import (
	"context"
	"fmt"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// Image is an image that a node holds.
type Image = Answer[*machine.ImageListResponse]

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

// Images hands on the images that each node holds.
func (f *Fleet) Images(ctx context.Context, namespace common.ContainerdNamespace, hear func(Image) error) error {
	request := &machine.ImageListRequest{Namespace: namespace}
	return receive(ctx, f, machine.MachineServiceClient.ImageList, request, func(node string, image *machine.ImageListResponse) error {
		return hear(Image{Node: node, Message: image})
	})
}

// PullImage makes every node pull an image.
func (f *Fleet) PullImage(ctx context.Context, namespace common.ContainerdNamespace, reference string) error {
	_, err := ask(ctx, f, machine.MachineServiceClient.ImagePull, &machine.ImagePullRequest{Namespace: namespace, Reference: reference})
	return err
}
