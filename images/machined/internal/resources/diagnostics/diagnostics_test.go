package diagnostics

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cosi-project/runtime/pkg/resource"
	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/cosi-project/runtime/pkg/state"
	"github.com/cosi-project/runtime/pkg/state/impl/inmem"
	"github.com/cosi-project/runtime/pkg/state/impl/namespaced"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/network"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"
	"github.com/siderolabs/talos/pkg/machinery/resources/v1alpha1"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stateOf is a node with these addresses, of which the first are outside of Kubernetes' networks.
func stateOf(t *testing.T, all, free []string) state.State {
	t.Helper()

	st := state.WrapCore(namespaced.NewState(inmem.Build))

	for id, texts := range map[string][]string{"routed": all, "routed-no-k8s": free} {
		list := network.NewNodeAddress(network.NamespaceName, id)
		for _, text := range texts {
			list.TypedSpec().Addresses = append(list.TypedSpec().Addresses, netip.MustParsePrefix(text))
		}

		create(t, st, list)
	}

	create(t, st, network.NewNodeAddressFilter(network.NamespaceName, k8s.NodeAddressFilterNoK8s))

	return st
}

func create(t *testing.T, st state.State, r resource.Resource) {
	t.Helper()

	if err := st.Create(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestAddressesThatOverlapAreFound(t *testing.T) {
	tests := []struct {
		name      string
		all, free []string
		want      bool
	}{
		{"no address yet", nil, nil, false},
		{"one outside", []string{"10.5.0.2/24", "10.244.1.1/24"}, []string{"10.5.0.2/24"}, false},
		{"all inside", []string{"10.244.0.2/16"}, nil, true},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			found, err := addressOverlap(t.Context(), Options{State: stateOf(t, test.all, test.free)})
			if err != nil {
				t.Fatal(err)
			}

			if (found != nil) != test.want {
				t.Errorf("found %v", found)
			}
		})
	}
}

func TestAKubeletWithoutACertificateIsFound(t *testing.T) {
	serving := httptest.NewTLSServer(nil)
	t.Cleanup(serving.Close)

	bare := listenWithoutCertificate(t)

	tests := []struct {
		name    string
		address string
		healthy bool
		want    bool
	}{
		{"one that serves", serving.Listener.Addr().String(), true, false},
		{"one that has none", bare, true, true},
		{"one that has none and is not healthy", bare, false, false},
		{"one that does not listen", "127.0.0.1:1", true, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			st := stateOf(t, nil, nil)
			service := v1alpha1.NewService("kubelet")
			service.TypedSpec().Running, service.TypedSpec().Healthy = true, test.healthy
			create(t, st, service)

			found, err := kubeletCertificate(t.Context(), Options{State: st, Kubelet: test.address})
			if err != nil {
				t.Fatal(err)
			}

			if (found != nil) != test.want {
				t.Errorf("found %v", found)
			}
		})
	}
}

// listenWithoutCertificate does what a kubelet does whose request was not approved.
func listenWithoutCertificate(t *testing.T) string {
	t.Helper()

	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("none yet") },
	})
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})

	go func() {
		defer close(done)

		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}

			_ = conn.(*tls.Conn).HandshakeContext(t.Context())
			conn.Close()
		}
	}()

	t.Cleanup(func() {
		listener.Close()
		<-done
	})

	return listener.Addr().String()
}

func TestWhatIsWrongForAMomentIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := stateOf(t, []string{"10.244.0.2/16"}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)

		go func() { done <- Run(ctx, Options{State: st}) }()

		var told []int

		for range 3 {
			synctest.Wait()

			list, err := safe.StateListAll[*runtime.Diagnostic](ctx, st)
			if err != nil {
				t.Fatal(err)
			}

			told = append(told, list.Len())

			if list.Len() == 1 {
				free := network.NewNodeAddress(network.NamespaceName, "routed-no-k8s")

				err := safe.StateModify(ctx, st, free, func(r *network.NodeAddress) error {
					r.TypedSpec().Addresses = []netip.Prefix{netip.MustParsePrefix("10.5.0.2/24")}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}

			time.Sleep(pause)
		}

		if diff := cmp.Diff([]int{0, 1, 0}, told); diff != "" {
			t.Errorf("diagnostics at each look (-want +got):\n%s", diff)
		}

		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
