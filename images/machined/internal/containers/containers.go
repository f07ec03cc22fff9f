// Package containers asks containerd, over its gRPC API, for the containers and images of the node, and has it pull,
// import and remove images. It uses the generated stubs only, as containerd's own client would double machined. It knows
// nothing of the machine API, and its errors bear containerd's status codes.
package containers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	containersapi "github.com/containerd/containerd/api/services/containers/v1"
	tasksapi "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// namespaceKey is the metadata that tells containerd which of its namespaces a call is about.
const namespaceKey = "containerd-namespace"

// messageLimit is the size of the largest message taken from containerd, in bytes; it is containerd's own.
const messageLimit = 16 << 20

// shortID is how many characters of a container's ID tell its restarts apart.
const shortID = 12

// The labels by which the CRI knows its containers.
const (
	labelPodName      = "io.kubernetes.pod.name"
	labelPodNamespace = "io.kubernetes.pod.namespace"
	labelPodUID       = "io.kubernetes.pod.uid"
	labelContainer    = "io.kubernetes.container.name"
	labelKind         = "io.cri-containerd.kind"
	kindSandbox       = "sandbox"
)

// extensionMetadata is what the CRI remembers of a container, as JSON.
const extensionMetadata = "io.cri-containerd.container.metadata"

// Client talks to one containerd. Dial makes one, and Close ends it.
type Client struct {
	conn *grpc.ClientConn
}

// Dial makes a client of the containerd behind a Unix socket; it connects with the first call.
func Dial(socket string) (*Client, error) {
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(messageLimit)))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of containerd: %w", err)
	}

	return &Client{conn: conn}, nil
}

// Close ends the connection and the calls on it.
func (c *Client) Close() error { return c.conn.Close() }

// in makes a context for calls about one namespace.
func in(ctx context.Context, namespace string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, namespaceKey, namespace)
}

// Container is one container as containerd has it.
type Container struct {
	Namespace string
	// ID is containerd's.
	ID    string
	Image string
	// Pod is empty for a container that is not the CRI's.
	Pod Pod
	// Name is the container's in its pod; empty for a sandbox and outside of pods.
	Name string
	// Sandbox holds the pod's namespaces.
	Sandbox bool
	// Pid is 0 unless it runs.
	Pid uint32
	// State is containerd's word for that of its task, such as RUNNING. Without a task it is STOPPED in a pod, as the CRI
	// deletes the tasks of containers that ended, and CREATED elsewhere.
	State string
	// NetworkNamespace is the name of the pod's; empty where it shares the node's.
	NetworkNamespace string
}

// Pod tells whose a container is.
type Pod struct {
	Namespace, Name, UID string
}

// Display is the ID that users see: namespace/pod for a sandbox, namespace/pod:container:start of the ID for what runs in
// it, as in Talos, and containerd's ID for others.
func (c Container) Display() string {
	switch {
	case c.Pod.Name == "":
		return c.ID
	case c.Sandbox:
		return c.Pod.Namespace + "/" + c.Pod.Name
	default:
		return c.Pod.Namespace + "/" + c.Pod.Name + ":" + c.Name + ":" + c.ID[:min(shortID, len(c.ID))]
	}
}

// matches tells whether a user who says id means this container. The short ID may be left out.
func (c Container) matches(id string) bool {
	display := c.Display()

	return id != "" && (id == c.ID || id == display || c.Name != "" && id == display[:strings.LastIndexByte(display, ':')])
}

// List tells the containers of a namespace, those of a pod beside each other and behind its sandbox.
func (c *Client) List(ctx context.Context, namespace string) ([]Container, error) {
	ctx = in(ctx, namespace)

	listed, err := containersapi.NewContainersClient(c.conn).List(ctx, &containersapi.ListContainersRequest{})
	if err != nil {
		return nil, err
	}

	tasks, err := c.tasks(ctx)
	if err != nil {
		return nil, err
	}

	all := make([]Container, 0, len(listed.Containers))
	for _, one := range listed.Containers {
		all = append(all, containerOf(namespace, one, tasks[one.ID]))
	}

	slices.SortFunc(all, func(a, b Container) int { return strings.Compare(a.Display(), b.Display()) })
	shareNetworks(all)

	return all, nil
}

func (c *Client) tasks(ctx context.Context) (map[string]*task.Process, error) {
	listed, err := tasksapi.NewTasksClient(c.conn).List(ctx, &tasksapi.ListTasksRequest{})
	if err != nil {
		return nil, err
	}

	tasks := map[string]*task.Process{}
	for _, one := range listed.Tasks {
		tasks[one.ID] = one
	}

	return tasks, nil
}

func containerOf(namespace string, one *containersapi.Container, running *task.Process) Container {
	labels := one.Labels
	state := running.GetStatus()

	switch {
	case running != nil:
	case labels[labelKind] != "":
		state = task.Status_STOPPED
	default:
		state = task.Status_CREATED
	}

	return Container{
		Namespace: namespace,
		ID:        one.ID,
		Image:     imageOf(one),
		Pod:       Pod{Namespace: labels[labelPodNamespace], Name: labels[labelPodName], UID: labels[labelPodUID]},
		Name:      labels[labelContainer],
		Sandbox:   labels[labelKind] == kindSandbox,
		Pid:       running.GetPid(),
		State:     state.String(),

		NetworkNamespace: networkOf(one.Spec.GetValue()),
	}
}

// imageOf is the image that a pod asked for. Where several names mean the same image, containerd's record has any of them.
func imageOf(one *containersapi.Container) string {
	var read struct {
		Metadata struct {
			Config struct {
				Image struct {
					Asked string `json:"user_specified_image"`
				} `json:"image"`
			}
		}
	}

	// A container that is not the CRI's has no such record.
	_ = json.Unmarshal(one.Extensions[extensionMetadata].GetValue(), &read)

	return cmp.Or(read.Metadata.Config.Image.Asked, one.Image)
}

// networkOf finds the name of the network namespace in an OCI runtime specification.
func networkOf(specification []byte) string {
	var read struct {
		Linux struct {
			Namespaces []struct{ Type, Path string }
		}
	}

	// A container without a specification is in no network of its own.
	if json.Unmarshal(specification, &read) != nil {
		return ""
	}

	for _, namespace := range read.Linux.Namespaces {
		// Containers in a pod join /proc/<pid>/ns/net of its sandbox, which has the name.
		if namespace.Type == "network" && strings.Contains(namespace.Path, "/netns/") {
			return path.Base(namespace.Path)
		}
	}

	return ""
}

// shareNetworks gives each container the network of its pod's sandbox.
func shareNetworks(all []Container) {
	networks := map[Pod]string{}

	for _, one := range all {
		if one.Sandbox {
			networks[one.Pod] = one.NetworkNamespace
		}
	}

	for i, one := range all {
		if one.Pod != (Pod{}) {
			all[i].NetworkNamespace = networks[one.Pod]
		}
	}
}

// Terminate asks a container to end with SIGTERM, so that whoever keeps it starts it anew: the kubelet for those of pods.
// The ID is one that Display answers, with or without the short ID, or containerd's.
func (c *Client) Terminate(ctx context.Context, namespace, id string) error {
	all, err := c.List(ctx, namespace)
	if err != nil {
		return err
	}

	// The newest restart of a container is the one with a task; older ones only wait to be removed.
	at := slices.IndexFunc(all, func(one Container) bool { return one.matches(id) && one.State == task.Status_RUNNING.String() })
	if at < 0 {
		return status.Errorf(codes.NotFound, "no container %q runs in namespace %q", id, namespace)
	}

	_, err = tasksapi.NewTasksClient(c.conn).Kill(in(ctx, namespace), &tasksapi.KillRequest{
		ContainerID: all[at].ID, Signal: uint32(unix.SIGTERM), All: false,
	})

	return err
}
