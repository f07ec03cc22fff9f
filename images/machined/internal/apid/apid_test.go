package apid_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// answers maps each answer's node to its content.
func answers[M interface{ GetMetadata() *common.Metadata }](messages []M, content func(M) string) map[string]string {
	result := map[string]string{}
	for _, message := range messages {
		result[message.GetMetadata().GetHostname()] = content(message)
	}

	return result
}

func TestApidAsksAllNamedNodes(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)
	ctx := client.WithNodes(limited(t), controlPlane, worker)

	version, err := admin.Version(ctx)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(version.Messages, func(m *machine.Version) string { return m.Version.Tag })
	if diff := cmp.Diff(map[string]string{controlPlane: "v1.13.3", worker: "v1.13.3"}, got); diff != "" {
		t.Error(diff)
	}

	services, err := admin.ServiceList(ctx)
	if err != nil {
		t.Fatal(err)
	}

	got = answers(services.Messages, func(m *machine.ServiceList) string { return m.Services[0].Id })
	if diff := cmp.Diff(map[string]string{controlPlane: "kubelet", worker: "kubelet"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestApidPutsAnErrorInThePlaceOfADeadNode(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	hostnames, err := admin.MachineClient.Hostname(client.WithNodes(limited(t), controlPlane, dead, worker), nil)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(hostnames.Messages, func(m *machine.Hostname) string {
		return m.Hostname + codes.Code(m.Metadata.Status.GetCode()).String()
	})
	want := map[string]string{
		controlPlane: "node-127.0.0.1OK",
		worker:       "node-127.0.0.2OK",
		dead:         "Unavailable",
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	_, err = admin.MachineClient.Hostname(client.WithNode(limited(t), dead), nil)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("one dead node: %v", err)
	}
}

func TestApidStreamsLogsOfANamedNode(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Reader)

	_, _ = io.WriteString(c.nodes[worker].log, "one\ntwo\nthree\n")

	stream, err := admin.Logs(client.WithNodes(limited(t), worker), "system", common.ContainerDriver_CONTAINERD, "machined", false, 2)
	if err != nil {
		t.Fatal(err)
	}

	data, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff("two\nthree\n", string(data.Bytes)); diff != "" {
		t.Error(diff)
	}

	if data.Metadata.GetHostname() != worker {
		t.Errorf("metadata: %v", data.Metadata)
	}
}

func TestWorkersCallNoOtherNode(t *testing.T) {
	c := startCluster(t)

	_, err := c.clientAt(t, worker, role.Admin).Version(client.WithNode(limited(t), controlPlane))
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a worker sent a call on: %v", err)
	}
}

func TestCallsThatACallerCannotHaveSayWhatToDo(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	_, err := admin.MachineClient.MetaWrite(limited(t), &machine.MetaWriteRequest{})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("what no container has: %v", err)
	}

	_, err = admin.MachineClient.EtcdStatus(client.WithNode(limited(t), worker), nil)
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("what no worker has: %v", err)
	}

	install, err := admin.LifecycleClient.Install(limited(t), &machine.LifecycleServiceInstallRequest{})
	if err != nil {
		t.Fatal(err)
	}

	if _, err := install.Recv(); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a stream that no container has: %v", err)
	}
}

func TestBootstrapReachesTheSequencer(t *testing.T) {
	c := startCluster(t)

	if err := c.client(t, role.Admin).Bootstrap(limited(t), &machine.BootstrapRequest{RecoverEtcd: true}); err != nil {
		t.Fatal(err)
	}

	if recover := <-c.nodes[controlPlane].asked; !recover {
		t.Error("the request to recover is lost")
	}
}

func TestKubeconfigArrivesAsClientsExpect(t *testing.T) {
	c := startCluster(t)

	got, err := c.client(t, role.Admin).Kubeconfig(limited(t))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff("kubeconfig of 127.0.0.1", string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestEventsBeginWithTheWantedTail(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithCancel(client.WithNode(limited(t), worker))
	log := c.nodes[worker].events

	for _, name := range []string{"boot", "first", "second"} {
		log.PublishFor("tester", &machine.SequenceEvent{Sequence: name})
	}

	var got []string

	err := c.client(t, role.Reader).EventsWatch(ctx, func(events <-chan client.Event) {
		for event := range events {
			got = append(got, event.Payload.(*machine.SequenceEvent).Sequence)

			if len(got) == 2 {
				log.PublishFor("tester", &machine.SequenceEvent{Sequence: "live"})
			}

			if len(got) == 3 {
				cancel()
			}
		}
	}, client.WithTailEvents(2), client.WithActorID("tester"))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"first", "second", "live"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestApidGivesUpOnANodeThatAcceptsAndSaysNothing(t *testing.T) {
	c := startCluster(t)

	// Connections wait in the kernel's queue, and nobody takes them.
	silent, err := net.Listen("tcp", net.JoinHostPort(dead, strconv.Itoa(c.port)))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	hostnames, err := c.client(t, role.Admin).MachineClient.Hostname(client.WithNodes(limited(t), dead, worker, dead), nil)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(hostnames.Messages, func(m *machine.Hostname) string {
		return m.Hostname + codes.Code(m.Metadata.Status.GetCode()).String()
	})
	if diff := cmp.Diff(map[string]string{worker: "node-127.0.0.2OK", dead: "Unavailable"}, got); diff != "" {
		t.Error(diff)
	}

	if len(hostnames.Messages) != 2 {
		t.Errorf("there are %d answers", len(hostnames.Messages))
	}
}

func TestApidStreamsOfAllNamedNodesAtOnce(t *testing.T) {
	c := startCluster(t)

	for _, node := range c.nodes {
		_, _ = io.WriteString(node.log, "of "+node.address+"\n")
	}

	stream, err := c.client(t, role.Reader).Logs(client.WithNodes(limited(t), controlPlane, dead, worker), "system",
		common.ContainerDriver_CONTAINERD, "machined", false, -1)
	if err != nil {
		t.Fatal(err)
	}

	got := map[string]string{}

	for {
		data, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			t.Fatal(err)
		}

		got[data.Metadata.GetHostname()] += string(data.Bytes) + codes.Code(data.Metadata.GetStatus().GetCode()).String()
	}

	want := map[string]string{controlPlane: "of 127.0.0.1\nOK", worker: "of 127.0.0.2\nOK", dead: "Unavailable"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestApidKnowsNodesByTheirNames(t *testing.T) {
	c := startCluster(t)
	ctx := client.WithNodes(limited(t), "node-127.0.0.1", "node-127.0.0.2", "nobody.invalid")

	hostnames, err := c.client(t, role.Admin).MachineClient.Hostname(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}

	got := answers(hostnames.Messages, func(m *machine.Hostname) string { return m.Hostname })

	want := map[string]string{"node-127.0.0.1": "node-127.0.0.1", "node-127.0.0.2": "node-127.0.0.2", "nobody.invalid": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestApidSurvivesHundredsOfTargets(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	var nodes []string
	for i := range 500 {
		nodes = append(nodes, fmt.Sprintf("127.1.%d.%d", i/250, i%250+1))
	}

	hostnames, err := admin.MachineClient.Hostname(client.WithNodes(limited(t), append(nodes, worker)...), nil)
	if err != nil {
		t.Fatal(err)
	}

	if len(hostnames.Messages) != 501 {
		t.Errorf("there are %d answers", len(hostnames.Messages))
	}

	for i := range 1000 {
		nodes = append(nodes, fmt.Sprintf("127.2.%d.%d", i/250, i%250+1))
	}

	_, err = admin.MachineClient.Hostname(client.WithNodes(limited(t), nodes...), nil)
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("too many: %v", err)
	}
}

func TestApidRefusesMessagesThatAreTooLarge(t *testing.T) {
	c := startCluster(t)
	admin := c.client(t, role.Admin)

	_, err := admin.ApplyConfiguration(limited(t), &machine.ApplyConfigurationRequest{Data: make([]byte, constants.GRPCMaxMessageSize+1)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a large message: %v", err)
	}

	named := client.WithNodes(limited(t), strings.Repeat("n", 1<<20))
	if _, err := admin.Version(named); err == nil {
		t.Error("a large name of a node passes")
	}

	if _, err := admin.Version(limited(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
