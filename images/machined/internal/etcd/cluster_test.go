package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/container"
	"github.com/siderolabs/talos/pkg/machinery/config/generate"
	"github.com/siderolabs/talos/pkg/machinery/config/generate/secrets"
	"github.com/siderolabs/talos/pkg/machinery/config/machine"
	"github.com/siderolabs/talos/pkg/machinery/config/types/v1alpha1"
	"go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/bronze-os/bronze/images/machined/internal/reaper"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
	"github.com/bronze-os/bronze/test/need"
)

// failing breaks off at its end.
type failing struct{ io.Reader }

// Read is part of io.Reader.
func (f *failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}

	return n, err
}

// program finds the node image's own etcd, which building that leaves in the cache.
func program(t *testing.T) string {
	t.Helper()

	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}

	built, err := filepath.Glob(filepath.Join(cache, "bronze/components/multicall/*/multicall"))
	if err != nil {
		t.Fatal(err)
	}

	newest := func(a, b string) int { return modified(t, a).Compare(modified(t, b)) }
	if len(built) == 0 {
		need.Missing(t, "run make image first: no multicall in %s", cache)
	}

	return slices.MaxFunc(built, newest)
}

func modified(t *testing.T, path string) time.Time {
	t.Helper()

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	return info.ModTime()
}

// secretsOf are shared by the members of one test's cluster.
func secretsOf(t *testing.T) *secrets.Bundle {
	t.Helper()

	bundle, err := secrets.NewBundle(secrets.NewClock(), config.TalosVersion1_6)
	if err != nil {
		t.Fatal(err)
	}

	return bundle
}

func newMember(t *testing.T, root, name, ip string) Member {
	t.Helper()

	return memberOf(t, secretsOf(t), root, name, ip)
}

// memberOf makes a member that serves clients on its own address only: on one host, all would share 127.0.0.1.
func memberOf(t *testing.T, bundle *secrets.Bundle, root, name, ip string) Member {
	t.Helper()

	input, err := generate.NewInput("test", "https://10.5.0.2:6443", "1.37.2", generate.WithSecretsBundle(bundle))
	if err != nil {
		t.Fatal(err)
	}

	provider, err := input.Config(machine.TypeControlPlane)
	if err != nil {
		t.Fatal(err)
	}

	raw := provider.RawV1Alpha1()
	raw.ClusterConfig.EtcdConfig.EtcdExtraArgs = v1alpha1.Args{"listen-client-urls": v1alpha1.NewArgValue("https://"+ClientAddress(ip), nil)}

	m := Member{Config: container.NewV1Alpha1(raw), Name: name, IP: netip.MustParseAddr(ip), Root: filepath.Join(root, name)}

	steps, err := m.Files()
	if err != nil {
		t.Fatal(err)
	}

	if err := rootfs.Apply(steps); err != nil {
		t.Fatal(err)
	}

	return m
}

// start runs the member as the supervisor would, until the test ends or the answered function is called. cluster is for
// Arguments.
func start(t *testing.T, m Member, cluster string) (stop func()) {
	t.Helper()

	for _, name := range []string{"etcd", "multicall"} {
		link := rootfs.Symlink{Path: filepath.Join(m.Root, "/usr/bin", name), Target: program(t)}
		if err := rootfs.Apply([]rootfs.Step{rootfs.Dir{Path: filepath.Dir(link.Path), Mode: 0o755}, link}); err != nil {
			t.Fatal(err)
		}
	}

	argv := m.Arguments(cluster)
	command := exec.CommandContext(context.WithoutCancel(t.Context()), argv[0], argv[1:]...)

	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output

	if err := command.Start(); err != nil {
		t.Fatal(err)
	}

	done := make(chan error, 1)
	go func() { done <- command.Wait() }()

	ended := false
	stop = func() {
		if ended {
			return
		}

		ended = true
		_ = command.Process.Kill()
		<-done

		if t.Failed() {
			t.Logf("%s said:\n%s", m.Name, output.String())
		}
	}
	t.Cleanup(stop)

	return stop
}

func settled(t *testing.T, m Member) uint64 {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var last error

	id, err := m.Settle(ctx, func(err error) { last = err })
	if err != nil {
		t.Fatalf("%s does not settle: %v: %v", m.Name, err, last)
	}

	return id
}

// joined has the node join as the machine does: it tries until the cluster takes it.
func joined(t *testing.T, m, through Member) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	for {
		address, _, err := m.Find(ctx, []string{"127.0.1.99", through.IP.String()})
		if err == nil {
			var cluster string

			if cluster, err = m.Join(ctx, address, slog.New(slog.DiscardHandler)); err == nil {
				start(t, m, cluster)
				settled(t, m)

				return
			}
		}

		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			t.Fatalf("%s does not join: %v", m.Name, err)
		}
	}
}

// names are the started voters that the member knows.
func names(t *testing.T, m Member) []string {
	t.Helper()

	_, members, err := m.Find(t.Context(), []string{m.IP.String()})
	if err != nil {
		t.Fatal(err)
	}

	var found []string
	for _, member := range voters(members, 0) {
		found = append(found, member.Name)
	}

	slices.Sort(found)

	return found
}

func TestNodesJoinAndLeaveARealCluster(t *testing.T) {
	bundle, root := secretsOf(t), t.TempDir()
	founder := memberOf(t, bundle, root, "cp-1", "127.0.1.1")
	second, third := memberOf(t, bundle, root, "cp-2", "127.0.1.2"), memberOf(t, bundle, root, "cp-3", "127.0.1.3")

	if _, _, err := second.Find(t.Context(), []string{"127.0.1.1"}); !errors.Is(err, ErrNoCluster) {
		t.Fatalf("before there is a cluster: %v", err)
	}

	begun := time.Now()

	start(t, founder, "")
	settled(t, founder)
	t.Logf("the founder leads %s after its start", time.Since(begun))

	if err := founder.Leave(t.Context()); !errors.Is(err, ErrAlone) {
		t.Errorf("the only member leaves: %v", err)
	}

	// An earlier attempt was cut short after it had been added.
	if _, err := second.Join(t.Context(), ClientAddress("127.0.1.1"), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}

	joined(t, second, founder)
	joined(t, third, founder)

	if got := fmt.Sprint(names(t, third)); got != "[cp-1 cp-2 cp-3]" {
		t.Fatalf("voters are %s", got)
	}

	successor, err := founder.Forfeit(t.Context())
	if err != nil || (successor != "cp-2" && successor != "cp-3") {
		t.Errorf("Forfeit = %q, %v", successor, err)
	}

	if err := founder.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got := fmt.Sprint(names(t, third)); got != "[cp-2 cp-3]" {
		t.Errorf("after the founder left, voters are %s", got)
	}
}

func TestANodeThatLostItsDataJoinsAnewInPlaceOfItself(t *testing.T) {
	bundle, root := secretsOf(t), t.TempDir()
	founder, second := memberOf(t, bundle, root, "cp-1", "127.0.2.1"), memberOf(t, bundle, root, "cp-2", "127.0.2.2")
	third := memberOf(t, bundle, root, "cp-3", "127.0.2.3")

	start(t, founder, "")
	settled(t, founder)
	joined(t, second, founder)

	address, _, err := third.Find(t.Context(), []string{"127.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}

	var stop func()
	for stop == nil {
		if cluster, err := third.Join(t.Context(), address, slog.New(slog.DiscardHandler)); err == nil {
			stop = start(t, third, cluster)
		}
	}

	before := settled(t, third)

	stop()

	if !third.HasData() {
		t.Fatal("a member that ran has no data")
	}

	if err := third.Forget(); err != nil || third.HasData() {
		t.Fatalf("Forget = %v, data %t", err, third.HasData())
	}

	joined(t, third, founder)

	if after := settled(t, third); after == before {
		t.Error("it is the member that it was")
	}

	if got := fmt.Sprint(names(t, founder)); got != "[cp-1 cp-2 cp-3]" {
		t.Errorf("voters are %s", got)
	}
}

func TestANodeThatIsMadeAnewAtAnotherAddressStaysTheMemberThatItWas(t *testing.T) {
	bundle, root := secretsOf(t), t.TempDir()
	founder, second := memberOf(t, bundle, root, "cp-1", "127.0.4.1"), memberOf(t, bundle, root, "cp-2", "127.0.4.2")

	stop := start(t, founder, "")
	before := settled(t, founder)

	stop()

	founder = memberOf(t, bundle, root, "cp-1", "127.0.4.11")
	stop = start(t, founder, "")

	if after := settled(t, founder); after != before {
		t.Errorf("the only member was %x and is %x", before, after)
	}

	joined(t, second, founder)
	joined(t, memberOf(t, bundle, root, "cp-3", "127.0.4.3"), founder)
	stop()

	founder = memberOf(t, bundle, root, "cp-1", "127.0.4.12")
	start(t, founder, "")

	if after := settled(t, founder); after != before {
		t.Errorf("one of three was %x and is %x", before, after)
	}

	_, members, err := second.Find(t.Context(), []string{"127.0.4.2"})
	if err != nil || len(members) != 3 || !founder.IsListed(members) {
		t.Fatalf("%d members, %v", len(members), err)
	}

	for _, member := range members {
		if member.ID == before && !slices.Equal(member.PeerURLs, []string{founder.peerURL()}) {
			t.Errorf("others reach it at %s", member.PeerURLs)
		}
	}
}

func TestASnapshotBecomesANewCluster(t *testing.T) {
	bundle, root := secretsOf(t), t.TempDir()
	old, fresh := memberOf(t, bundle, root, "cp-1", "127.0.3.1"), memberOf(t, bundle, root, "cp-2", "127.0.3.2")

	start(t, old, "")
	settled(t, old)

	kv := func(m Member, act func(etcdserverpb.KVClient) error) {
		t.Helper()

		client, err := m.Dial(ClientAddress(m.IP.String()))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()

		if err := act(etcdserverpb.NewKVClient(client.conn)); err != nil {
			t.Fatal(err)
		}
	}

	kv(old, func(c etcdserverpb.KVClient) error {
		_, err := c.Put(t.Context(), &etcdserverpb.PutRequest{Key: []byte("key"), Value: []byte("value")})

		return err
	})

	snapshot := snapshotOf(t, old)
	r := reaper.New()
	t.Cleanup(r.Close)
	start(t, fresh, "")()

	if err := fresh.Forget(); err != nil {
		t.Fatal(err)
	}

	if err := fresh.Upload(bytes.NewReader(snapshot[:len(snapshot)-1])); err != nil {
		t.Fatal(err)
	}

	if err := fresh.Restore(t.Context(), r, false); err == nil || fresh.HasData() {
		t.Fatalf("Restore of a damaged snapshot = %v, data %t", err, fresh.HasData())
	}

	if err := fresh.Upload(bytes.NewReader(snapshot)); err != nil {
		t.Fatal(err)
	}

	if err := fresh.Restore(t.Context(), r, false); err != nil {
		t.Fatal(err)
	}

	if !fresh.HasData() || fresh.HasSnapshot() {
		t.Errorf("after Restore: data %t, snapshot %t", fresh.HasData(), fresh.HasSnapshot())
	}

	start(t, fresh, "")
	settled(t, fresh)

	kv(fresh, func(c etcdserverpb.KVClient) error {
		answer, err := c.Range(t.Context(), &etcdserverpb.RangeRequest{Key: []byte("key")})
		if err == nil && (len(answer.Kvs) != 1 || string(answer.Kvs[0].Value) != "value") {
			err = fmt.Errorf("restored %v", answer.Kvs)
		}

		return err
	})
}

func snapshotOf(t *testing.T, m Member) []byte {
	t.Helper()

	client, err := m.Dial(ClientAddress(m.IP.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	stream, err := client.Snapshot(t.Context(), &etcdserverpb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}

	var whole []byte

	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return whole
		}

		if err != nil {
			t.Fatal(err)
		}

		whole = append(whole, part.Blob...)
	}
}
