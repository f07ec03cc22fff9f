// Package guest is what drills ask the nodes for and do to etcd: which process of a service runs, and etcd's quota,
// revisions and alarms. It may import provision/machineapi, provision/machineconfig and etcd's API, and no provider.
package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineapi"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// Guest implements drill.Guest. Access is asked for where the nodes are at each call, as they may have come back
// elsewhere.
type Guest struct {
	access func(context.Context) (provision.Access, error)
	// old has the machine configs of before Bound, by node name.
	old map[string][]byte
}

// New makes a guest that reaches the cluster by access.
func New(access func(context.Context) (provision.Access, error)) *Guest {
	return &Guest{access: access, old: map[string][]byte{}}
}

// with opens the machine API for one piece of work.
func (g *Guest) with(ctx context.Context, do func(*machineapi.Client, provision.Access) error) (err error) {
	access, err := g.access(ctx)
	if err != nil {
		return err
	}
	client, err := machineapi.Open(access)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return do(client, access)
}

// Incarnation tells one process of a node's service from the next.
func (g *Guest) Incarnation(ctx context.Context, node provision.Node, service string) (incarnation string, err error) {
	err = g.with(ctx, func(client *machineapi.Client, _ provision.Access) error {
		incarnation, err = client.Incarnation(ctx, node, service)
		return err
	})
	return incarnation, err
}

const etcdService = "etcd"

// Bound gives etcd a quota in bytes, one control plane after the other, and waits for each until its etcd runs with it.
func (g *Guest) Bound(ctx context.Context, bytes int64) error {
	patch := fmt.Sprintf(`{"cluster": {"etcd": {"extraArgs": {"quota-backend-bytes": "%d"}}}}`, bytes)
	return g.eachControlPlane(ctx, func(client *machineapi.Client, node provision.Node) error {
		config, err := client.MachineConfig(ctx, node)
		if err != nil {
			return err
		}
		bounded, err := machineconfig.Patch(config, []string{patch})
		if err != nil {
			return err
		}
		g.old[node.Name] = config
		return apply(ctx, client, node, bounded)
	})
}

// Unbound gives each control plane the machine config back that it had.
func (g *Guest) Unbound(ctx context.Context) error {
	return g.eachControlPlane(ctx, func(client *machineapi.Client, node provision.Node) error {
		config, bounded := g.old[node.Name]
		if !bounded {
			return nil
		}
		if err := apply(ctx, client, node, config); err != nil {
			return err
		}
		delete(g.old, node.Name)
		return nil
	})
}

func (g *Guest) eachControlPlane(ctx context.Context, do func(*machineapi.Client, provision.Node) error) error {
	return g.with(ctx, func(client *machineapi.Client, access provision.Access) error {
		for _, node := range access.Cluster.ControlPlanes() {
			if err := do(client, node); err != nil {
				return fmt.Errorf("%s: %w", node.Name, err)
			}
		}
		return nil
	})
}

// apply waits for etcd to run again, as the next member must not go before this one is back.
func apply(ctx context.Context, client *machineapi.Client, node provision.Node, config []byte) error {
	before, err := client.Incarnation(ctx, node, etcdService)
	if err != nil {
		return err
	}
	if err := client.ApplyLive(ctx, node, config); err != nil {
		return err
	}
	again := provision.Condition{Name: "etcd to run with another quota", Check: func(ctx context.Context) (string, error) {
		now, err := client.Incarnation(ctx, node, etcdService)
		if err == nil && (now == "" || now == before) {
			return "etcd has not restarted yet", nil
		}
		return "", err
	}}
	if err := again.Wait(ctx, func(string) {}); err != nil {
		return err
	}
	return healthy(ctx, client, node)
}

func healthy(ctx context.Context, client *machineapi.Client, node provision.Node) error {
	condition := provision.Condition{Name: "etcd to be healthy", Check: func(ctx context.Context) (string, error) {
		services, err := client.Services(ctx, node)
		for _, service := range services {
			if service.ID == etcdService && service.Healthy {
				return "", nil
			}
		}
		return "etcd is not healthy", err
	}}
	return condition.Wait(ctx, func(string) {})
}

// dialLimit bounds the way to a member, which the host has only where it sees the cluster's network.
const dialLimit = 5 * time.Second

// Compact gives up all revisions but the last, gives their space back on every member, one after the other, and takes the
// alarms back.
func (g *Guest) Compact(ctx context.Context) error {
	return g.with(ctx, func(client *machineapi.Client, access provision.Access) error {
		controlPlanes := access.Cluster.ControlPlanes()
		var errs []error
		for _, node := range controlPlanes {
			err := compact(ctx, access, node)
			if err == nil {
				errs = nil
				break
			}
			errs = append(errs, fmt.Errorf("%s: %w", node.Name, err))
		}
		if err := errors.Join(errs...); err != nil {
			return fmt.Errorf("compacting etcd: %w", err)
		}
		for _, node := range controlPlanes {
			if err := client.Defragment(ctx, node); err != nil {
				return fmt.Errorf("defragmenting etcd of %s: %w", node.Name, err)
			}
		}
		if err := client.Disarm(ctx, controlPlanes[0]); err != nil {
			return fmt.Errorf("disarming etcd: %w", err)
		}
		return nil
	})
}

// compact speaks to etcd itself: the machine API has no word for it.
func compact(ctx context.Context, access provision.Access, node provision.Node) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*dialLimit)
	defer cancel()
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return err
	}
	config, err := secrets.EtcdTLS()
	if err != nil {
		return err
	}
	const clientPort = "2379"
	target := "passthrough:///" + net.JoinHostPort(node.IP.String(), clientPort)
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	kv := etcdserverpb.NewKVClient(conn)
	// Any key's answer bears the revision.
	answer, err := kv.Range(ctx, &etcdserverpb.RangeRequest{Key: []byte("bronze")})
	if err != nil {
		return err
	}
	_, err = kv.Compact(ctx, &etcdserverpb.CompactionRequest{Revision: answer.GetHeader().GetRevision(), Physical: true})
	if status.Code(err) == codes.OutOfRange {
		// Nothing was written since the last compaction.
		return nil
	}
	return err
}
