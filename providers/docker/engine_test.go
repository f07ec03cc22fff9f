package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/moby/moby/client"
	"go.uber.org/goleak"

	"github.com/bronze-os/bronze/images/boot"
	"github.com/bronze-os/bronze/providers/providertest"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/test/need"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// prefix keeps the objects of two test processes apart.
func prefix() string {
	return "brztest" + strconv.Itoa(os.Getpid())
}

func testImage() string {
	return "bronze.local/" + prefix() + ":v0"
}

// realEngine opens the engine, or skips loudly. Where BRONZE_REQUIRE_ENGINE or CI is set, a skip is a failure.
func realEngine(t testing.TB) *Provider {
	t.Helper()
	provider, err := Open(t.TempDir())
	if err == nil {
		t.Cleanup(func() {
			if err := provider.Close(); err != nil {
				t.Error(err)
			}
		})
		_, err = provider.engine.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true})
	}
	if err == nil {
		return provider
	}
	need.Missing(t, "there is no docker engine: %v", err)
	return nil
}

// makeImage builds a program that waits to be stopped, and imports it as an image, with the balancer.
func makeImage(t testing.TB, engine *client.Client) {
	t.Helper()
	programs := map[string][]byte{
		boot.InitPath:     program(t, "./testdata/sleeper"),
		boot.BalancerPath: program(t, "../../images/balancer"),
	}
	source := client.ImageImportSource{Source: archive(t, programs), SourceName: "-"}
	options := client.ImageImportOptions{Changes: []string{`ENTRYPOINT ["/sbin/init"]`, "LABEL " + boot.LabelKubernetes + "=v1.37.2"}}
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

// program builds a package for the engine's system.
func program(t testing.TB, pkg string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the test image: %v\n%s", err, output)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func archive(t testing.TB, programs map[string][]byte) io.Reader {
	t.Helper()
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for path, text := range programs {
		header := &tar.Header{Name: path[1:], Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}
		if err := writer.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := writer.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return &buffer
}

func freeSubnet(t testing.TB, provider *Provider) netip.Prefix {
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
			Rename:     hands.rename,
			Vanish:     hands.vanish,
			Backends:   hands.backends,
			AddForeign: hands.add,
			HasForeign: hands.has,
		}
	})
}
