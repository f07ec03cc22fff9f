package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
)

// prefix keeps the objects of two test processes apart.
func prefix() string {
	return "brztest" + strconv.Itoa(os.Getpid())
}

func testImage() string {
	return "bronze.local/" + prefix() + ":v0"
}

// realEngine opens the engine, or skips loudly. Where BRONZE_REQUIRE_ENGINE or CI is set, a skip is a failure.
func realEngine(t *testing.T) *Provider {
	t.Helper()
	provider, err := Open(t.TempDir())
	if err == nil {
		_, err = provider.engine.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	}
	if err == nil {
		return provider
	}
	if os.Getenv("BRONZE_REQUIRE_ENGINE") != "" || os.Getenv("CI") != "" {
		t.Fatalf("NO DOCKER ENGINE, and one is required: %v", err)
	}
	t.Skipf("NOT TESTED: there is no docker engine: %v", err)
	return nil
}

// makeImage builds a program that waits to be stopped, and imports it as an image.
func makeImage(t *testing.T, engine *client.Client) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "sleeper")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/sleeper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the test image: %v\n%s", err, output)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	source := client.ImageImportSource{Source: archive(t, text), SourceName: "-"}
	options := client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/sbin/init"]`}}
	imported, err := engine.ImageImport(t.Context(), source, testImage(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer imported.Close()
	if _, err := io.Copy(io.Discard, imported); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := engine.ImageRemove(ctx, testImage(), client.ImageRemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
}

func archive(t *testing.T, program []byte) io.Reader {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	header := &tar.Header{Name: "sbin/init", Mode: 0o755, Size: int64(len(program)), Typeflag: tar.TypeReg}
	if err := writer.WriteHeader(header); err != nil {
		t.Fatal(err)
	}
	if _, err := writer.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &buffer
}

func freeSubnet(t *testing.T, provider *Provider) netip.Prefix {
	t.Helper()
	taken, err := provider.TakenSubnets(t.Context(), prefix())
	if err != nil {
		t.Fatal(err)
	}
	subnet, err := provision.ChooseSubnet(taken)
	if err != nil {
		t.Fatal(err)
	}
	return subnet
}

func TestTheEngineBehavesAsAProvider(t *testing.T) {
	provider := realEngine(t)
	makeImage(t, provider.engine)
	hands := hands{engine: provider.engine}
	providertest.Run(t, func(t *testing.T) providertest.Subject {
		return providertest.Subject{
			Provider: provider,
			Prefix:   prefix(),
			Image:    testImage(),
			Subnet:   freeSubnet(t, provider),
			Stop: func(name string) {
				if _, err := provider.engine.ContainerKill(t.Context(), name, client.ContainerKillOptions{}); err != nil {
					t.Error(err)
				}
				waiting := provider.engine.ContainerWait(t.Context(), name, client.ContainerWaitOptions{})
				select {
				case <-waiting.Result:
				case err := <-waiting.Error:
					t.Error(err)
				}
			},
			AddForeign: hands.add,
			HasForeign: hands.has,
		}
	})
}

func TestANodeMadeByHandIsRemovedWithItsVolumes(t *testing.T) {
	provider := realEngine(t)
	makeImage(t, provider.engine)
	name := prefix() + "-hand"
	made, err := provider.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name,
		Config: &container.Config{
			Image: testImage(), Labels: nodeLabels(prefix(), provision.Worker), Volumes: map[string]struct{}{"/var": {}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := provider.engine.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	observed, err := provider.Observe(t.Context(), prefix())
	if err != nil {
		t.Fatal(err)
	}
	if err := provider.Remove(t.Context(), observed); err != nil {
		t.Fatal(err)
	}
	hands := hands{engine: provider.engine}
	if hands.has(providertest.KindContainer, name) {
		t.Error("the container is still there")
	}
	for _, mount := range inspected.Container.Mounts {
		if hands.has(providertest.KindVolume, mount.Name) {
			t.Errorf("its volume on %s is still there", mount.Destination)
		}
	}
	if len(inspected.Container.Mounts) != 1 {
		t.Errorf("it had %d volumes, want 1", len(inspected.Container.Mounts))
	}
}

// oneNode makes a network and one node on it, and takes them away when the test ends.
func oneNode(t *testing.T, provider *Provider) provision.Node {
	t.Helper()
	makeImage(t, provider.engine)
	cluster := testCluster(t)
	cluster.Name, cluster.Image = prefix(), testImage()
	cluster.Network.Name, cluster.Network.Subnet = prefix(), freeSubnet(t, provider)
	address := cluster.Network.Gateway().Next()
	node := provision.Node{Name: prefix() + "-one", Role: provision.Worker, IP: address}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		observed, err := provider.Observe(ctx, prefix())
		if err := errors.Join(err, provider.Remove(ctx, observed)); err != nil {
			t.Error(err)
		}
	})
	if err := provider.CreateNetwork(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if err := provider.CreateNode(t.Context(), cluster, node, nil); err != nil {
		t.Fatal(err)
	}
	return node
}

func TestWhatTheEngineCannotDoIsFoundOutOnce(t *testing.T) {
	provider := realEngine(t)
	oneNode(t, provider)
	later := &Provider{engine: provider.engine, host: provider.host, stateDir: provider.stateDir}
	known, err := later.isolationNow(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*provider.isolation, known); diff != "" {
		t.Errorf("a later process knows something else (-found +known):\n%s", diff)
	}
}

func TestANodeStartsWhereItWasExpectedToBePrivilegedAndCannotBe(t *testing.T) {
	provider := realEngine(t)
	provider.isolation = &isolation{}
	oneNode(t, provider)
}

func TestLastWordsAreWhatANodePrinted(t *testing.T) {
	provider := realEngine(t)
	node := oneNode(t, provider)
	options := client.ContainerLogsOptions{ShowStdout: true, Follow: true}
	logs, err := provider.engine.ContainerLogs(t.Context(), node.Name, options)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	if _, err := logs.Read(make([]byte, 1)); err != nil {
		t.Fatalf("waiting for its first word: %v", err)
	}
	if words, err := provider.LastWords(t.Context(), node.Name); err != nil || words != "waiting to be stopped" {
		t.Errorf("LastWords = %q, %v", words, err)
	}
}

// hands do to the engine what is not Bronze's doing.
type hands struct {
	engine *client.Client
}

func (h hands) add(t *testing.T, kind, name string) {
	t.Helper()
	var err error
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
			Name: name, Config: &container.Config{Image: testImage()},
		})
	case providertest.KindVolume:
		_, err = h.engine.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: name})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkCreate(t.Context(), name, client.NetworkCreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.remove(context.WithoutCancel(t.Context()), kind, name); err != nil {
			t.Error(err)
		}
	})
}

func (h hands) remove(ctx context.Context, kind, name string) (err error) {
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerRemove(ctx, name, client.ContainerRemoveOptions{Force: true})
	case providertest.KindVolume:
		_, err = h.engine.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkRemove(ctx, name, client.NetworkRemoveOptions{})
	}
	return err
}

func (h hands) has(kind, name string) bool {
	var err error
	switch kind {
	case providertest.KindContainer:
		_, err = h.engine.ContainerInspect(context.Background(), name, client.ContainerInspectOptions{})
	case providertest.KindVolume:
		_, err = h.engine.VolumeInspect(context.Background(), name, client.VolumeInspectOptions{})
	case providertest.KindNetwork:
		_, err = h.engine.NetworkInspect(context.Background(), name, client.NetworkInspectOptions{})
	}
	return err == nil
}

// BenchmarkTwoNodes times what the engine does for a control plane and a worker, from nothing and back.
func BenchmarkTwoNodes(b *testing.B) {
	provider, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	request := provision.DefaultRequest()
	request.Name, request.Image, request.KubernetesVersion = prefix(), benchmarkImage(b), "v1.37.2"
	taken, err := provider.TakenSubnets(b.Context(), prefix())
	if err != nil {
		b.Fatal(err)
	}
	cluster, err := provision.Expand(request, provision.Site{Taken: taken})
	if err != nil {
		b.Fatal(err)
	}
	var network, nodes, removal time.Duration
	for b.Loop() {
		began := time.Now()
		if err := provider.CreateNetwork(b.Context(), cluster); err != nil {
			b.Fatal(err)
		}
		made := time.Now()
		createNodes(b, provider, cluster)
		created := time.Now()
		removeCluster(b, provider, cluster.Name)
		network += made.Sub(began)
		nodes += created.Sub(made)
		removal += time.Since(created)
	}
	report := func(total time.Duration, unit string) { b.ReportMetric(total.Seconds()/float64(b.N), unit) }
	report(network, "s/network")
	report(nodes, "s/nodes")
	report(removal, "s/removal")
}

// benchmarkImage is the node image unless BRONZE_BENCH_IMAGE names another.
func benchmarkImage(b *testing.B) string {
	image := os.Getenv("BRONZE_BENCH_IMAGE")
	if image == "" {
		b.Skip("NOT MEASURED: BRONZE_BENCH_IMAGE names no image")
	}
	return image
}

func createNodes(b *testing.B, provider *Provider, cluster provision.Cluster) {
	group, ctx := errgroup.WithContext(b.Context())
	for _, node := range cluster.Nodes {
		group.Go(func() error { return provider.CreateNode(ctx, cluster, node, nil) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func removeCluster(b *testing.B, provider *Provider, name string) {
	observed, err := provider.Observe(b.Context(), name)
	if err == nil {
		err = provider.Remove(b.Context(), observed)
	}
	if err != nil {
		b.Fatal(err)
	}
}
