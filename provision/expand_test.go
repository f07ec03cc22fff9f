package provision

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asked is a valid request, changed.
func asked(change func(*Request)) Request {
	request := DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = "dev", "bronze.local/node:v0.1.0", "v1.37.2"
	if change != nil {
		change(&request)
	}
	return request
}

func addresses() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}

func TestExpandMakesEveryNodeOfARequest(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	request := asked(func(r *Request) {
		r.Workers = 2
		r.Worker = Resources{CPUs: 1, MemoryMiB: 1024}
		r.Ports = []Port{{HostIP: loopback(), Host: 8080, Node: 80, Protocol: "tcp"}}
		r.Mounts = []Mount{{Type: MountBind, Source: "/data", Target: "/var/mnt/data"}}
		r.Patches = []Patch{{Role: Worker, Body: "machine: {}"}}
	})
	got, err := Expand(request, Site{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	small, big := Resources{CPUs: 1, MemoryMiB: 1024}, Resources{CPUs: 2, MemoryMiB: 2048}
	want := Cluster{
		Name: "dev", Provider: "docker", Created: now.Truncate(time.Second), Image: "bronze.local/node:v0.1.0",
		KubernetesVersion: "v1.37.2",
		Network:           Network{Name: "dev", Subnet: netip.MustParsePrefix("10.5.0.0/24"), MTU: 1500},
		Endpoint:          "https://10.5.0.2:6443",
		Nodes: []Node{
			{
				Name: "dev-controlplane-1", Role: ControlPlane, IP: netip.MustParseAddr("10.5.0.2"), Resources: big,
				Ports: []Port{
					{HostIP: loopback(), Node: 50000, Protocol: "tcp"},
					{HostIP: loopback(), Node: 6443, Protocol: "tcp"},
					{HostIP: loopback(), Host: 8080, Node: 80, Protocol: "tcp"},
				},
				Mounts: request.Mounts,
			},
			{Name: "dev-worker-1", Role: Worker, IP: netip.MustParseAddr("10.5.0.3"), Resources: small, Mounts: request.Mounts},
			{Name: "dev-worker-2", Role: Worker, IP: netip.MustParseAddr("10.5.0.4"), Resources: small, Mounts: request.Mounts},
		},
		Patches: request.Patches,
	}
	if diff := cmp.Diff(want, got, addresses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if gateway := got.Network.Gateway(); gateway != netip.MustParseAddr("10.5.0.1") {
		t.Errorf("gateway %s", gateway)
	}
}

func TestABalancerIsTheEndpointAndHasTheAPIsPorts(t *testing.T) {
	exposed := []Port{{HostIP: loopback(), Host: 8080, Node: 80, Protocol: "tcp"}}
	request := asked(func(r *Request) {
		r.ControlPlanes = 3
		r.Subnet = netip.MustParsePrefix("10.9.0.0/22")
		r.Ports = exposed
	})
	got, err := Expand(request, Site{Balanced: true})
	if err != nil {
		t.Fatal(err)
	}
	want := &Balancer{Name: "dev-loadbalancer", IP: netip.MustParseAddr("10.9.3.254"), Ports: []Port{
		{HostIP: loopback(), Node: 50000, Protocol: "tcp"},
		{HostIP: loopback(), Node: 6443, Protocol: "tcp"},
	}}
	if diff := cmp.Diff(want, got.Balancer, addresses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Endpoint != "https://10.9.3.254:6443" || len(got.ControlPlanes()) != 3 {
		t.Errorf("the endpoint is %s, the control planes are %v", got.Endpoint, got.ControlPlanes())
	}
	if diff := cmp.Diff(exposed, got.Founder().Ports, addresses()); diff != "" {
		t.Errorf("ports of the founder (-want +got):\n%s", diff)
	}
}

func TestExpandRefuses(t *testing.T) {
	mount := func(mount Mount) func(*Request) { return func(r *Request) { r.Mounts = []Mount{mount} } }
	onto := func(target string) func(*Request) {
		return mount(Mount{Type: MountBind, Source: "/data", Target: target})
	}
	subnet := func(text string) func(*Request) { return func(r *Request) { r.Subnet = netip.MustParsePrefix(text) } }
	port := Port{HostIP: loopback(), Host: 80, Node: 80, Protocol: "tcp"}
	for name, test := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"an empty name":                  {func(r *Request) { r.Name = "" }, `cannot name a cluster ""`},
		"a name that leaves the store":   {func(r *Request) { r.Name = "../x" }, "cannot name a cluster"},
		"capitals in a name":             {func(r *Request) { r.Name = "Dev" }, "cannot name a cluster"},
		"a name with a hyphen at an end": {func(r *Request) { r.Name = "dev-" }, "cannot name a cluster"},
		"a name too long for a hostname": {func(r *Request) { r.Name = strings.Repeat("a", 49) }, "at most 63 characters"},
		"no control plane":               {func(r *Request) { r.ControlPlanes = 0 }, "cannot make 0 control planes"},
		"an even number":                 {func(r *Request) { r.ControlPlanes = 4 }, "with 4 etcd members the quorum is 3 and the loss of 1 is survived, no more than with 3"},
		"fewer than no workers":          {func(r *Request) { r.Workers = -1 }, "cannot make -1 workers"},
		"no provider":                    {func(r *Request) { r.Provider = "" }, "which provider"},
		"no image":                       {func(r *Request) { r.Image = "" }, "which node image"},
		"a version without v":            {func(r *Request) { r.KubernetesVersion = "1.37" }, `Kubernetes version "1.37"`},
		"an MTU too small":               {func(r *Request) { r.MTU = 100 }, "MTU of 100"},
		"no processor":                   {func(r *Request) { r.Worker.CPUs = 0 }, "worker on 0 CPUs"},
		"a control plane too small":      {func(r *Request) { r.ControlPlane.MemoryMiB = 1023 }, "at least 1024 MiB"},
		"a worker too small":             {func(r *Request) { r.Worker.MemoryMiB = 511 }, "at least 512 MiB"},
		"an IPv6 subnet":                 {subnet("fd00::/64"), "cannot use subnet fd00::/64"},
		"a subnet with host bits":        {subnet("10.5.0.7/24"), "host bits"},
		"a subnet too small":             {subnet("10.5.0.0/30"), "cannot fit 2 nodes"},
		"the subnet of pods":             {subnet("10.244.3.0/24"), "pods or Services"},
		"a loopback subnet":              {subnet("127.0.0.0/24"), "not for hosts"},
		"a subnet in use":                {subnet("10.9.1.0/24"), "taken by 10.9.0.0/16"},
		"two ports on one":               {func(r *Request) { r.Ports = []Port{port, port} }, "two ports on 127.0.0.1:80/tcp"},
		"a port of no protocol":          {func(r *Request) { r.Ports = []Port{{HostIP: loopback(), Node: 80}} }, "cannot expose port"},
		"a mount over a node's volume":   {onto("/var"), "hide /var"},
		"a mount above a node's volume":  {onto("/etc"), "hide"},
		"a mount over the root":          {onto("/"), "hide"},
		"a mount over init":              {onto("/sbin/init"), "hide /sbin/init"},
		"a mount inside proc":            {onto("/proc/sys"), "the kernel has it"},
		"a relative target":              {onto("data"), "cannot mount on"},
		"a relative source":              {mount(Mount{Type: MountBind, Source: "data", Target: "/var/mnt"}), `cannot bind "data"`},
		"a tmpfs with a source":          {mount(Mount{Type: MountTmpfs, Source: "/x", Target: "/var/mnt"}), "cannot give a tmpfs"},
		"a mount of another type":        {mount(Mount{Type: "nfs", Target: "/var/mnt"}), `cannot mount type "nfs"`},
		"two mounts on one target": {func(r *Request) {
			r.Mounts = slices.Repeat([]Mount{{Type: MountTmpfs, Target: "/var/mnt"}}, 2)
		}, "cannot mount twice"},
		"an empty patch": {func(r *Request) { r.Patches = []Patch{{Body: " "}} }, "config patch 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Expand(asked(test.change), Site{Taken: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error = %v, want one with %q", err, test.want)
			}
			if len(Hints(err)) == 0 {
				t.Errorf("error %v has no hint", err)
			}
		})
	}
}

func TestExpandAllows(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"the longest name":              func(r *Request) { r.Name = strings.Repeat("a", 48) },
		"no workers":                    func(r *Request) { r.Workers = 0 },
		"three control planes":          func(r *Request) { r.ControlPlanes = 3 },
		"an even number, on demand":     func(r *Request) { r.ControlPlanes, r.AllowEven = 2, true },
		"the smallest subnet that fits": func(r *Request) { r.Subnet = netip.MustParsePrefix("10.5.0.0/29"); r.Workers = 3 },
		"a mount below a node's volume": func(r *Request) {
			r.Mounts = []Mount{{Type: MountVolume, Source: "data", Target: "/var/mnt/data"}}
		},
		"one port for tcp and udp": func(r *Request) {
			r.Ports = []Port{
				{HostIP: loopback(), Host: 53, Node: 53, Protocol: "tcp"},
				{HostIP: loopback(), Host: 53, Node: 53, Protocol: "udp"},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Expand(asked(change), Site{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExpandNamesAllThatIsWrong(t *testing.T) {
	_, err := Expand(Request{}, Site{SocketDir: "/" + strings.Repeat("d", 100)})
	for _, want := range []string{"cannot name a cluster", "control planes", "provider", "image", "MTU", "worker on", "cannot listen on"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not tell of %q", err, want)
		}
	}
}
