package machineapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/pkg/state"
	"github.com/google/go-cmp/cmp"
	machineapi "github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/provision"
)

func TestMachineConfigIsWordByWordTheLiveOne(t *testing.T) {
	const document = "version: v1alpha1\nmachine:\n    type: worker # as the user wrote it\n---\napiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\n"
	provider, err := configloader.NewFromBytes([]byte(document))
	must(t, err)
	st := newResources(t)
	create(t, st, config.NewMachineConfig(provider))
	client, node := openMember(t, fakeMember{resources: st})
	got, err := client.MachineConfig(t.Context(), node)
	must(t, err)
	if diff := cmp.Diff(document, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestMemberIsRemovedOnce(t *testing.T) {
	client, node := openMember(t, fakeMember{members: []*machineapi.EtcdMember{{Id: 5}}})
	for range 2 {
		if err := client.RemoveMember(t.Context(), node, 5); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAffiliateIsForgottenOnce(t *testing.T) {
	st := newResources(t, "b")
	client, node := openMember(t, fakeMember{resources: st})
	for range 2 {
		if err := client.ForgetAffiliate(t.Context(), node, "b"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := st.Get(t.Context(), cluster.NewAffiliate(cluster.NamespaceName, "b").Metadata()); !state.IsNotFoundError(err) {
		t.Errorf("error %v of the forgotten, want that it is not found", err)
	}
}

func TestAffiliateThatCannotBeForgottenSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		answer   error
		words    string
		hopeless bool
	}{
		"a server that does not answer": {status.Error(codes.Unavailable, "asked all: 10.5.0.3:50002: no connection"), "machine API: asked all: 10.5.0.3:50002: no connection", false},
		"the node's own":                {status.Error(codes.FailedPrecondition, "reset it instead"), "machine API: reset it instead", false},
		"a node that is read only":      {status.Error(codes.PermissionDenied, "read only"), "machine API: read only: " + provision.ErrHopeless.Error(), true},
	} {
		t.Run(name, func(t *testing.T) {
			rule := func(_ context.Context, access state.Access) error { return test.answer }
			client, node := openMember(t, fakeMember{resources: state.WrapCore(state.Filter(newResources(t), rule))})
			err := client.ForgetAffiliate(t.Context(), node, "b")
			if err == nil || err.Error() != test.words || errors.Is(err, provision.ErrHopeless) != test.hopeless {
				t.Errorf("error %v, want %s", err, test.words)
			}
		})
	}
}

func TestSnapshotIsWholeOrAnError(t *testing.T) {
	content := []byte(strings.Repeat("etcd", 100))
	sum := sha256.Sum256(content)
	whole := append(content, sum[:]...)
	for name, test := range map[string]struct {
		sent []byte
		good bool
	}{
		"whole":     {whole, true},
		"cut short": {whole[:len(whole)-1], false},
		"empty":     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, node := openMember(t, fakeMember{snapshot: test.sent})
			var got bytes.Buffer
			err := client.Snapshot(t.Context(), node, &got)
			if (err == nil) != test.good || !bytes.Equal(got.Bytes(), test.sent) {
				t.Errorf("error %v, %d bytes of %d", err, got.Len(), len(test.sent))
			}
		})
	}
}
