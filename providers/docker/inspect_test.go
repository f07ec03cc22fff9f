package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/provision"
)

// byHand is a docker run as users write it, with volumes that have no names, on the network of oneNode.
func byHand(t *testing.T, flags ...string) string {
	t.Helper()
	name := prefix() + "-hand"
	args := []string{"run", "--detach", "--name", name, "--hostname", name, "--read-only", "--cpus=0.5", "--memory=64m", "--network", prefix()}
	for _, path := range boot.Tmpfs() {
		args = append(args, "--mount", "type=tmpfs,destination="+path)
	}
	for _, path := range boot.Volumes() {
		args = append(args, "--mount", "type=volume,destination="+path)
	}
	for key, value := range nodeLabels(prefix(), provision.Worker) {
		args = append(args, "--label", key+"="+value)
	}
	args = append(append(args, flags...), testImage())
	if output, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput(); err != nil {
		t.Fatalf("docker run: %v\n%s", err, output)
	}
	return name
}

func TestANodeMadeByHandIsInspected(t *testing.T) {
	provider := realEngine(t)
	first := oneNode(t, provider)
	name := byHand(t, "--env", "USERDATA=bWFjaGluZToge30K", "--tmpfs", "/mnt/memory", "--volume", "/tmp:/mnt/host:ro",
		"--volume", "/mnt/own", "--publish", "127.0.0.1:0:80", "--publish", "53/udp")
	observed, err := provider.Observe(t.Context(), prefix())
	if err != nil {
		t.Fatal(err)
	}
	machine := observed.Machines[0]
	if machine.Name != name {
		t.Fatalf("observed %+v", observed.Machines)
	}
	node, config, err := provider.Inspect(t.Context(), machine)
	if err != nil {
		t.Fatal(err)
	}
	want := provision.Node{
		Name: name, Role: provision.Worker, IP: first.IP.Next(),
		Resources: provision.Resources{CPUs: 0.5, MemoryMiB: 64},
		Ports: []provision.Port{
			{HostIP: netip.IPv4Unspecified(), Node: 53, Protocol: "udp"},
			{HostIP: netip.MustParseAddr("127.0.0.1"), Node: 80, Protocol: "tcp"},
		},
		Mounts: []provision.Mount{
			{Type: provision.MountBind, Source: "/tmp", Target: "/mnt/host", ReadOnly: true},
			{Type: provision.MountTmpfs, Target: "/mnt/memory"},
			{Type: provision.MountVolume, Target: "/mnt/own"},
		},
	}
	if diff := cmp.Diff(want, node, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if string(config) != "machine: {}\n" {
		t.Errorf("machine config: %q", config)
	}
}

func TestSizesAreReadFromLimitsElseFromWhatTheNodeWasTold(t *testing.T) {
	for name, test := range map[string]struct {
		limits container.Resources
		sku    string
		want   provision.Resources
	}{
		"limits":            {container.Resources{NanoCPUs: 15e8, Memory: 1 << 30}, "8CPU-9RAM", provision.Resources{CPUs: 1.5, MemoryMiB: 1024}},
		"a quota":           {container.Resources{CPUQuota: 50000, CPUPeriod: 100000}, "8CPU-9RAM", provision.Resources{CPUs: 0.5, MemoryMiB: 9}},
		"what it was told":  {container.Resources{}, "2CPU-2048RAM", provision.Resources{CPUs: 2, MemoryMiB: 2048}},
		"nothing":           {container.Resources{}, "", provision.Resources{}},
		"told in riddles":   {container.Resources{}, "big", provision.Resources{}},
		"told half of that": {container.Resources{Memory: 1 << 30}, "2CPU", provision.Resources{MemoryMiB: 1024}},
	} {
		t.Run(name, func(t *testing.T) {
			seen := container.InspectResponse{
				Config:     &container.Config{Env: []string{boot.SKUVariable + "=" + test.sku}},
				HostConfig: &container.HostConfig{Resources: test.limits},
			}
			if diff := cmp.Diff(test.want, resourcesOf(seen)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMachineConfigsAreReadAsNodesReadThem(t *testing.T) {
	const document = "machine:\n  type: worker\n"
	for name, test := range map[string]struct {
		environment []string
		want        string
	}{
		"plain":                 {[]string{"A=b", "USERDATA=" + document}, document},
		"base64":                {[]string{"USERDATA=bWFjaGluZToKICB0eXBlOiB3b3JrZXIK"}, document},
		"base64 and a newline":  {[]string{"USERDATA=bWFjaGluZToKICB0eXBlOiB3b3JrZXIK\n"}, document},
		"none":                  {[]string{"A=b"}, ""},
		"another that is alike": {[]string{"USERDATA_OLD=x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, string(machineConfigOf(test.environment))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyVolumesWithANameAreSharedWithAClone(t *testing.T) {
	for name, want := range map[string]string{
		"data": "data", "cafe": "cafe", strings.Repeat("0a", 32): "", strings.Repeat("zz", 32): strings.Repeat("zz", 32),
	} {
		t.Run(name, func(t *testing.T) {
			got := mountOf(container.MountPoint{Type: mount.TypeVolume, Name: name, Source: "/var/lib/docker/x", Destination: "/mnt", RW: true})
			if diff := cmp.Diff(provision.Mount{Type: provision.MountVolume, Source: want, Target: "/mnt"}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Taking silence for an answer would remove living nodes.
func TestAMachineIsGoneOnlyWhereTheEngineSaysSo(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	answer := func(code int, message string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		gone   bool
	}{
		"docker says so":            {answer(404, "No such container: "+id), true},
		"podman says so":            {answer(404, "no container with name or ID \""+id+"\" found: no such container"), true},
		"it has trouble":            {answer(500, "No such container: it says, but not as an answer"), false},
		"it is another server":      {answer(404, "page not found"), false},
		"it is another server, too": {http.NotFound, false},
		"it may not tell":           {answer(403, "forbidden"), false},
		"it hangs up":               {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"it is another container":   {answer(200, ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.answer)
			defer server.Close()
			provider := providerAt(t, server.Listener.Addr())
			_, found, err := provider.Machine(t.Context(), id)
			if found || (err == nil) != test.gone {
				t.Errorf("found %t, %v, want gone %t", found, err, test.gone)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		address := server.Listener.Addr()
		server.Close()
		if _, found, err := providerAt(t, address).Machine(t.Context(), id); found || err == nil {
			t.Errorf("found %t, %v", found, err)
		}
	})
	t.Run("nobody waits for it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, found, err := providerAt(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9}).Machine(ctx, id); found || !errors.Is(err, context.Canceled) {
			t.Errorf("found %t, %v", found, err)
		}
	})
}

func providerAt(t *testing.T, address net.Addr) *Provider {
	t.Helper()
	host := fmt.Sprintf("tcp://%s", address)
	engine, err := client.New(client.WithHost(host), client.WithAPIVersion("1.44"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return &Provider{engine: engine, host: host}
}
