//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
)

// unreachable is an image in a registry that no test machine reaches.
const unreachable = "registry.invalid/none:v1"

func containerLines() []line {
	return []line{
		{name: "containers", talosctl: []string{"containers", "-k"}, do: containers},
		{name: "stats", talosctl: []string{"stats", "-k"}, do: stats},
		{name: "restart", do: restartContainer},
		{name: "names of logs", do: logsContainers},
		{name: "container's log", do: containerLog},
		{name: "images", talosctl: []string{"image", "list"}, do: images},
		{name: "pull from nowhere", talosctl: []string{"image", "pull", unreachable}, refused: true, do: pullNowhere},
		{name: "import and remove an image", do: importImage},
		{name: "debug container", on: onWorker, do: debugContainer},
	}
}

// container finds one of kube-proxy, which every node runs.
func container(ctx context.Context, c *cluster) (*machine.ContainerInfo, error) {
	answer, err := c.client.Containers(ctx, constants.K8sContainerdNamespace, common.ContainerDriver_CRI)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return nil, err
	}

	for _, container := range got.GetContainers() {
		if container.GetName() == "kube-proxy" && container.GetPid() > 0 {
			return container, nil
		}
	}

	return nil, fmt.Errorf("kube-proxy is not among %v", got.GetContainers())
}

func containers(ctx context.Context, c *cluster, _ string) error {
	found, err := container(ctx, c)
	if err != nil {
		return err
	}

	_, err = c.client.Containers(ctx, constants.SystemContainerdNamespace, common.ContainerDriver_CONTAINERD)

	return errors.Join(err, want(found.GetStatus() == "CONTAINER_RUNNING" && strings.HasPrefix(found.GetPodId(), "kube-system/kube-proxy-"), "kube-proxy is %v", found))
}

func stats(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Stats(ctx, constants.K8sContainerdNamespace, common.ContainerDriver_CRI)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	for _, stat := range got.GetStats() {
		if stat.GetName() == "kube-proxy" {
			return want(stat.GetMemoryUsage() > 1<<20 && stat.GetCpuUsage() > 0, "kube-proxy uses %v", stat)
		}
	}

	return fmt.Errorf("kube-proxy is not among %v", got.GetStats())
}

// restartContainer waits until the kubelet has started another in the container's place.
func restartContainer(ctx context.Context, c *cluster, _ string) error {
	before, err := container(ctx, c)
	if err != nil {
		return err
	}

	if err := c.client.Restart(ctx, constants.K8sContainerdNamespace, common.ContainerDriver_CRI, before.GetId()); err != nil {
		return err
	}

	return until(ctx, func(ctx context.Context) error {
		now, err := container(ctx, c)

		return errors.Join(err, want(now.GetPid() != before.GetPid(), "kube-proxy still is process %d", before.GetPid()))
	})
}

func logsContainers(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.LogsContainers(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	return want(slices.Contains(got.GetIds(), "kubelet") && slices.Contains(got.GetIds(), "machined"), "there are logs of %v", got.GetIds())
}

// containerLog wants the lines as the program wrote them.
func containerLog(ctx context.Context, c *cluster, _ string) error {
	return until(ctx, func(ctx context.Context) error {
		found, err := container(ctx, c)
		if err != nil {
			return err
		}

		stream, err := c.client.Logs(ctx, constants.K8sContainerdNamespace, common.ContainerDriver_CRI, found.GetId(), false, 10)
		if err != nil {
			return err
		}

		text, err := readStream(stream)

		return errors.Join(err, want(text != "" && !strings.Contains(text, " stderr F "), "the log is %q", text))
	})
}

func images(ctx context.Context, c *cluster, _ string) error {
	old, err := imagesAsBefore(ctx, c)
	if err != nil {
		return err
	}

	now, err := imageNames(ctx, c)
	if err != nil {
		return err
	}

	for _, image := range old {
		if !slices.Contains(now, image.GetName()) {
			return fmt.Errorf("%s is in the older list and not in the newer, %v", image.GetName(), now)
		}
	}

	return want(slices.ContainsFunc(now, func(name string) bool { return strings.Contains(name, "pause") }), "no pause image is in %v", now)
}

// imagesAsBefore makes, by its name, the call that older clients make: what is generated for it is not to be used any more.
func imagesAsBefore(ctx context.Context, c *cluster) ([]*machine.ImageListResponse, error) {
	stream, err := c.client.Conn().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, machine.MachineService_ImageList_FullMethodName)
	if err != nil {
		return nil, err
	}

	sent := stream.SendMsg(&machine.ImageListRequest{Namespace: common.ContainerdNamespace_NS_CRI})
	if err := errors.Join(sent, stream.CloseSend()); err != nil {
		return nil, err
	}

	return receive(&grpc.GenericClientStream[machine.ImageListRequest, machine.ImageListResponse]{ClientStream: stream}, nil)
}

func cri() *common.ContainerdInstance {
	return &common.ContainerdInstance{Driver: common.ContainerDriver_CRI, Namespace: common.ContainerdNamespace_NS_CRI}
}

func imageNames(ctx context.Context, c *cluster) ([]string, error) {
	stream, err := c.client.ImageClient.List(ctx, &machine.ImageServiceListRequest{Containerd: cri()})

	all, err := receive(stream, err)

	var names []string
	for _, image := range all {
		names = append(names, image.GetName())
	}

	return names, err
}

func pullNowhere(ctx context.Context, c *cluster, _ string) error {
	old := c.client.Conn().Invoke(ctx, machine.MachineService_ImagePull_FullMethodName,
		&machine.ImagePullRequest{Namespace: common.ContainerdNamespace_NS_CRI, Reference: unreachable}, &machine.ImagePullResponse{})
	stream, err := c.client.ImageClient.Pull(ctx, &machine.ImageServicePullRequest{Containerd: cri(), ImageRef: unreachable})
	_, now := receive(stream, err)

	// Signatures are checked against outside services alone; without them every image is unverified.
	_, verified := c.client.ImageClient.Verify(ctx, &machine.ImageServiceVerifyRequest{ImageRef: unreachable})

	return want(old != nil && now != nil && verified != nil, "pulling said %v and %v, verifying %v", old, now, verified)
}

// importImage brings in an archive, finds its image, and removes it again.
func importImage(ctx context.Context, c *cluster, _ string) error {
	const name = "compat.local/imported:v1"

	path := filepath.Join(c.Dir, "image.tar")
	if err := writeImage(path, name); err != nil {
		return err
	}

	if err := upload(ctx, c, path); err != nil {
		return fmt.Errorf("importing: %w", err)
	}

	names, err := imageNames(ctx, c)
	if err != nil || !slices.Contains(names, name) {
		return fmt.Errorf("%s is not in %v (%w)", name, names, err)
	}

	if _, err := c.client.ImageClient.Remove(ctx, &machine.ImageServiceRemoveRequest{Containerd: cri(), ImageRef: name}); err != nil {
		return fmt.Errorf("removing: %w", err)
	}

	names, err = imageNames(ctx, c)

	return errors.Join(err, want(!slices.Contains(names, name), "%s is still there", name))
}

func upload(ctx context.Context, c *cluster, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()

	stream, err := c.client.ImageClient.Import(ctx)
	if err != nil {
		return err
	}

	if err := stream.Send(&machine.ImageServiceImportRequest{
		Request: &machine.ImageServiceImportRequest_Containerd{Containerd: cri()},
	}); err != nil {
		return err
	}

	chunk := make([]byte, 64<<10)

	for {
		n, err := file.Read(chunk)
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return err
		}

		if err := stream.Send(&machine.ImageServiceImportRequest{
			Request: &machine.ImageServiceImportRequest_ImageChunk{ImageChunk: &common.Data{Bytes: chunk[:n]}},
		}); err != nil {
			return err
		}
	}

	_, err = stream.CloseAndRecv()

	return err
}

// debugContainer asks for a container of an image that the node does not have: whatever the node can do about debugging,
// that must end with an error and soon.
func debugContainer(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.DebugClient.ContainerRun(ctx)
	if err != nil {
		return err
	}

	if err := stream.Send(&machine.DebugContainerRunRequest{Request: &machine.DebugContainerRunRequest_Spec{
		Spec: &machine.DebugContainerRunRequestSpec{Containerd: cri(), ImageName: unreachable},
	}}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	_, err = stream.Recv()

	return want(err != nil && !errors.Is(err, io.EOF) && client.StatusCode(err) != 0, "the answer is %v", err)
}
