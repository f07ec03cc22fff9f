// Command balancer is the cluster's TCP balancer: a container on the cluster's network, at the address of the cluster's
// endpoint, in front of the control planes. It carries the Kubernetes API, the machine API, trustd and discovery, each
// to those control planes where it answers, and holds connections while none does. Its backends may change while it
// runs. It imports the standard library, images/boot and images/balance only.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/bronze-os/bronze/images/balance"
	"github.com/bronze-os/bronze/images/boot"
)

const usage = `usage: balancer serve ADDRESS...   carry to these control planes, or to those that were last set
       balancer set ADDRESS...     make these the backends of the one that serves
       balancer backends           print the backends`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "balancer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}

	kept := file{path: boot.BackendsPath}

	switch args[0] {
	case "serve":
		if err := kept.begin(args[1:]); err != nil {
			return err
		}

		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()

		return serve(ctx, kept.follow())
	case "set":
		return kept.set(args[1:])
	case "backends":
		backends, err := kept.read()
		if err != nil {
			return err
		}

		_, err = fmt.Print(lines(backends))

		return err
	default:
		return errors.New(usage)
	}
}

// service is a port that the balancer serves, and that its backends do.
type service struct {
	name string
	port int
	fit  balance.Fit
	// spread tells that connections go to all that are fit in turn, not to the first.
	spread bool
	// announced tells that the service must know whose connection it gets.
	announced bool
}

// services spread the Kubernetes API: every API server keeps the whole state in memory as it is, and the loss of one
// costs only its share of the clients a new connection. The rest goes to the first that is fit: nodes that know nobody
// yet meet at one discovery service that way.
func services() []service {
	return []service{
		{name: "kubernetes", port: boot.KubernetesPort, fit: ready(), spread: true},
		{name: "machine API", port: boot.MachineAPIPort, fit: shakesHands},
		{name: "trustd", port: boot.TrustdPort, fit: accepts, announced: true},
		{name: "discovery", port: boot.DiscoveryPort, fit: accepts},
	}
}

func (s service) balancer(backends func() []netip.Addr) *balance.Balancer {
	upstreams := func() []string {
		var list []string
		for _, backend := range backends() {
			list = append(list, netip.AddrPortFrom(backend, uint16(s.port)).String())
		}

		return list
	}

	balancer := balance.NewInOrder(upstreams, s.fit)
	if s.spread {
		balancer = balance.New(upstreams, s.fit)
	}

	if s.announced {
		return balancer.Announcing()
	}

	return balancer
}

// serve carries until ctx ends, or until a port cannot be served.
func serve(ctx context.Context, backends func() []netip.Addr) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var running sync.WaitGroup
	defer running.Wait()

	for _, service := range services() {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(service.port))
		if err != nil {
			cancel(err)

			return fmt.Errorf("serving %s: %w", service.name, err)
		}

		balancer := service.balancer(backends)

		running.Go(func() { balancer.Check(ctx) })
		running.Go(func() {
			if err := balancer.Serve(ctx, listener); err != nil {
				cancel(fmt.Errorf("serving %s: %w", service.name, err))
			}
		})
	}

	slog.Info("serving", "backends", strings.Fields(lines(backends())))
	<-ctx.Done()

	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}

	return nil
}
