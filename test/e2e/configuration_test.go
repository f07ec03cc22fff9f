//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/config/configpatcher"
	configres "github.com/siderolabs/talos/pkg/machinery/resources/config"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/bronze-os/bronze/test/lab"
)

// TestConfiguration applies machine configs to the nodes of a cluster in every mode, and the first one to a node that
// came without.
func TestConfiguration(t *testing.T) {
	l := newLab(t, "config")
	run(t, l.Bronze(t.Context(), "cluster", "create", l.Cluster, "--workers", "1"))

	cluster := look(t, l)

	c, err := client.New(t.Context(), client.WithConfigFromFile(l.Talosconfig()), client.WithContextName(l.Cluster))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	worker := configured{
		running: cluster, client: c, name: cluster.nodes[1].Name, ctx: client.WithNode(t.Context(), cluster.addresses()[1]),
	}
	controlPlane := configured{
		running: cluster, client: c, name: cluster.nodes[0].Name, ctx: client.WithNode(t.Context(), cluster.addresses()[0]),
	}

	t.Run("a live label", worker.testLiveLabel)
	t.Run("a live API server flag", controlPlane.testLiveFlag)
	t.Run("a dry run", worker.testDryRun)
	t.Run("a try that is not kept", worker.testTry)
	t.Run("what needs a reboot", worker.testRebootNeeded)
	t.Run("an invalid config", worker.testInvalid)
	t.Run("staged until the next boot", worker.testStaged)
	t.Run("a node in maintenance mode", worker.testMaintenance)
	t.Run("a node that is stopped in maintenance mode", worker.testStoppedMaintenance)

	run(t, l.Bronze(t.Context(), "cluster", "destroy", l.Cluster))
}

// configured is a node with a client that speaks to it.
type configured struct {
	running
	client *client.Client
	name   string
	ctx    context.Context
}

// config is the node's, as `talosctl get machineconfig` reads it.
func (c configured) config(t *testing.T, id string) []byte {
	t.Helper()

	resource, err := safe.StateGetByID[*configres.MachineConfig](c.ctx, c.client.COSI, id)
	if err != nil {
		t.Fatal(err)
	}

	document, err := resource.Provider().Bytes()
	if err != nil {
		t.Fatal(err)
	}

	return document
}

// apply patches the node's config and applies it.
func (c configured) apply(t *testing.T, patch string, request *machine.ApplyConfigurationRequest) (*machine.ApplyConfiguration, error) {
	t.Helper()

	loaded, err := configpatcher.LoadPatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}

	output, err := configpatcher.Apply(configpatcher.WithBytes(c.config(t, configres.ActiveID)), []configpatcher.Patch{loaded})
	if err != nil {
		t.Fatal(err)
	}

	if request.Data, err = output.Bytes(); err != nil {
		t.Fatal(err)
	}

	answer, err := c.client.ApplyConfiguration(c.ctx, request)
	if err != nil {
		return nil, err
	}

	return answer.Messages[0], nil
}

// mustApply is apply where an error ends the test.
func (c configured) mustApply(t *testing.T, patch string, request *machine.ApplyConfigurationRequest) *machine.ApplyConfiguration {
	t.Helper()

	answer, err := c.apply(t, patch, request)
	if err != nil {
		t.Fatal(err)
	}

	return answer
}

// auto is a request in the mode that talosctl uses by default. That of the API is a reboot.
func auto() *machine.ApplyConfigurationRequest {
	return &machine.ApplyConfigurationRequest{Mode: machine.ApplyConfigurationRequest_AUTO}
}

// nodeHas waits until the path of the Kubernetes Node has that value.
func (c configured) nodeHas(t *testing.T, path, want string) {
	t.Helper()

	until(t, func(ctx context.Context) error {
		got, err := lab.Output(c.Kubectl(ctx, "get", "node", c.name, "-o", "jsonpath="+path))
		if err == nil && got != want {
			err = fmt.Errorf("%s of node %s is %q, want %q", path, c.name, got, want)
		}

		return err
	})
}

// started tells since when the node's container runs.
func (c configured) started(t *testing.T) string {
	t.Helper()

	words, err := lab.Docker(t.Context(), "inspect", "--format", "{{.State.StartedAt}}", c.name)
	if err != nil {
		t.Fatal(err)
	}

	return words[0]
}

func (c configured) notRestarted(t *testing.T, before string) {
	t.Helper()

	if after := c.started(t); after != before {
		t.Errorf("the container was started at %s and again at %s", before, after)
	}
}

func (c configured) testLiveLabel(t *testing.T) {
	before := c.started(t)

	answer := c.mustApply(t, "machine: {nodeLabels: {example.org/tier: gold}}", auto())
	if answer.Mode != machine.ApplyConfigurationRequest_NO_REBOOT || len(answer.Warnings) > 0 {
		t.Errorf("applied in mode %s with warnings %q", answer.Mode, answer.Warnings)
	}

	c.nodeHas(t, `{.metadata.labels.example\.org/tier}`, "gold")
	c.notRestarted(t, before)
}

func (c configured) testLiveFlag(t *testing.T) {
	before := c.started(t)

	answer := c.mustApply(t, "cluster: {apiServer: {extraArgs: {event-ttl: 42m0s}}}", auto())
	if answer.Mode != machine.ApplyConfigurationRequest_NO_REBOOT {
		t.Errorf("applied in mode %s: %s", answer.Mode, answer.ModeDetails)
	}

	until(t, func(ctx context.Context) error {
		command, err := lab.Output(c.Kubectl(ctx, "get", "pod", "--namespace", "kube-system", "kube-apiserver-"+c.name,
			"-o", "jsonpath={.spec.containers[0].command} {.status.containerStatuses[0].ready}"))
		if err == nil && !(strings.Contains(command, "--event-ttl=42m0s") && strings.HasSuffix(command, "true")) {
			err = fmt.Errorf("the API server is %s", command)
		}

		return err
	})

	c.notRestarted(t, before)
}

func (c configured) testDryRun(t *testing.T) {
	before := c.config(t, configres.ActiveID)
	answer := c.mustApply(t, "machine: {nodeLabels: {example.org/dry: 'true'}}", &machine.ApplyConfigurationRequest{
		Mode: machine.ApplyConfigurationRequest_AUTO, DryRun: true,
	})

	if !strings.Contains(answer.ModeDetails, "+        example.org/dry: \"true\"") {
		t.Errorf("the answer shows no change: %s", answer.ModeDetails)
	}

	if after := c.config(t, configres.ActiveID); string(after) != string(before) {
		t.Error("the config is another after a dry run")
	}
}

func (c configured) testTry(t *testing.T) {
	const patch, limit = "machine: {kubelet: {extraConfig: {maxPods: 77}}}", 20 * time.Second

	before, err := lab.Output(c.Kubectl(t.Context(), "get", "node", c.name, "-o", "jsonpath={.status.capacity.pods}"))
	if err != nil {
		t.Fatal(err)
	}

	c.mustApply(t, patch, &machine.ApplyConfigurationRequest{
		Mode: machine.ApplyConfigurationRequest_TRY, TryModeTimeout: durationpb.New(limit),
	})

	if kept := c.config(t, configres.PersistentID); strings.Contains(string(kept), "maxPods: 77") {
		t.Error("a config that is only tried is kept")
	}

	c.nodeHas(t, "{.status.capacity.pods}", "77")
	c.nodeHas(t, "{.status.capacity.pods}", before)
}

func (c configured) testRebootNeeded(t *testing.T) {
	_, err := c.apply(t, "cluster: {network: {podSubnets: [10.99.0.0/16]}}", &machine.ApplyConfigurationRequest{
		Mode: machine.ApplyConfigurationRequest_NO_REBOOT,
	})
	if status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "cluster.network.podSubnets") {
		t.Errorf("got %v", err)
	}
}

func (c configured) testInvalid(t *testing.T) {
	_, err := c.apply(t, "machine: {features: {hostDNS: {enabled: false}}, nodeLabels: {'no label': a}}", auto())
	if status.Code(err) != codes.InvalidArgument {
		t.Fatalf("got %v", err)
	}

	for _, want := range []string{"machine.features.hostDNS", "no label"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s: %v", want, err)
		}
	}
}

func (c configured) testStaged(t *testing.T) {
	c.mustApply(t, "machine: {kubelet: {extraConfig: {maxPods: 66}}}", &machine.ApplyConfigurationRequest{
		Mode: machine.ApplyConfigurationRequest_STAGED,
	})

	if active := c.config(t, configres.ActiveID); strings.Contains(string(active), "maxPods: 66") {
		t.Error("the node follows a config that is only staged")
	}

	if err := c.client.Reboot(c.ctx); err != nil {
		t.Fatal(err)
	}

	c.nodeHas(t, "{.status.capacity.pods}", "66")
}

// testMaintenance makes a worker without a config, and gives it that of the other.
func (c configured) testMaintenance(t *testing.T) {
	name := c.Cluster + "-worker-2"
	c.makeNode(t, name, "USERDATA=")

	node := c.stranger(t, name)

	until(t, func(ctx context.Context) error {
		stage, err := safe.StateGetByID[*runtime.MachineStatus](ctx, node.COSI, runtime.MachineStatusID)
		if err == nil && stage.TypedSpec().Stage != runtime.MachineStageMaintenance {
			err = fmt.Errorf("the node is at stage %s", stage.TypedSpec().Stage)
		}

		return err
	})

	if err := node.Reboot(t.Context()); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a stranger rebooted the node: %v", err)
	}

	_, err := node.ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{Data: []byte("machine: {type: worker}\ncluster: {}\n")})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("an invalid config: %v", err)
	}

	second := configured{running: c.running, name: name}
	before := second.started(t)

	if _, err := node.ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{Data: c.userData(t)}); err != nil {
		t.Fatal(err)
	}

	until(t, func(ctx context.Context) error { return c.nodeReady(ctx, name) })

	second.notRestarted(t, before)
}

// testStoppedMaintenance ends a node that waits for its config.
func (c configured) testStoppedMaintenance(t *testing.T) {
	name := c.Cluster + "-worker-3"
	c.makeNode(t, name, "USERDATA=")
	c.stranger(t, name)

	if _, err := lab.Docker(t.Context(), "stop", name); err != nil {
		t.Fatal(err)
	}

	// That of a process which a signal ended in order; see terminatedCode in images/machined.
	const terminated = "143"

	words, err := lab.Docker(t.Context(), "inspect", "--format", "{{.State.ExitCode}}", name)
	if err != nil || words[0] != terminated {
		t.Errorf("the node ended with %v, %v", words, err)
	}
}

// userData is the machine config that the node was made with.
func (c configured) userData(t *testing.T) []byte {
	t.Helper()

	text := strings.TrimPrefix(c.userDataVariable(t), "USERDATA=")

	document, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := configloader.NewFromBytes(document); err != nil {
		t.Fatal(err)
	}

	return document
}

// stranger is a client without a certificate, which knows the node by the fingerprint that it logs.
func (c configured) stranger(t *testing.T, name string) *client.Client {
	t.Helper()

	var fingerprint sidero.Fingerprint

	until(t, func(ctx context.Context) error {
		log, err := exec.CommandContext(ctx, "docker", "logs", name).CombinedOutput()
		if err != nil {
			return err
		}

		found := regexp.MustCompile(`--cert-fingerprint (\S+)`).FindSubmatch(log)
		if found == nil {
			return errors.New("the node has logged no fingerprint yet")
		}

		fingerprint, err = sidero.ParseFingerprint(string(found[1]))

		return err
	})

	words, err := lab.Docker(t.Context(), "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
	if err != nil {
		t.Fatal(err)
	}

	stranger, err := client.New(t.Context(), client.WithEndpoints(words[0]),
		client.WithTLSConfig(&tls.Config{
			MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, VerifyConnection: sidero.MatchSPKIFingerprints(fingerprint),
		}),
		client.WithGRPCDialOptions(grpc.WithNoProxy()))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { stranger.Close() })

	return stranger
}
