package apid

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/siderolabs/grpc-proxy/proxy"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machinepki"
)

const (
	// dialLimit is how long a node that does not answer is waited for.
	dialLimit = 3 * time.Second
	// vanishLimit is after how long a node that vanished without closing its connections is noticed, else a watch of it
	// hangs. TCP looks after it, not gRPC's own pings: Talos's apid takes frequent pings for an attack.
	vanishLimit = 10 * time.Second
)

// pool keeps one connection to each node that was called and answered.
type pool struct {
	pki  *machinepki.Store
	port int

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn
}

func newPool(pki *machinepki.Store, port int) *pool {
	return &pool{pki: pki, port: port, conns: map[string]*grpc.ClientConn{}}
}

// close ends all connections and the calls on them.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()

	for target, conn := range p.conns {
		conn.Close()
		delete(p.conns, target)
	}
}

// connect answers a connection to the node's apid. It blocks until that is ready or dialLimit is over; a connection
// that is not ready by then still answers a call at once, with the reason. It is not kept, so that the next
// call tries anew and nothing dials a dead node in the background.
func (p *pool) connect(ctx context.Context, target string) (*grpc.ClientConn, error) {
	conn, err := p.conn(target)
	if err != nil {
		return nil, err
	}

	limited, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()

	state := warm(limited, conn)
	if state == connectivity.Ready {
		return conn, nil
	}

	p.drop(target, conn)
	context.AfterFunc(ctx, func() { conn.Close() })

	if state == connectivity.TransientFailure {
		return conn, nil
	}

	return nil, status.Errorf(codes.Unavailable, "cannot connect to %s: no answer in %s", target, dialLimit)
}

func (p *pool) conn(target string) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if conn, ok := p.conns[target]; ok {
		return conn, nil
	}

	conn, err := p.dial(target)
	if err != nil {
		return nil, err
	}

	p.conns[target] = conn

	return conn, nil
}

func (p *pool) drop(target string, conn *grpc.ClientConn) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.conns[target] == conn {
		delete(p.conns, target)
	}
}

func (p *pool) dial(target string) (*grpc.ClientConn, error) {
	config, err := p.pki.ClientTLS()
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}

	conn, err := grpc.NewClient("passthrough:///"+net.JoinHostPort(target, strconv.Itoa(p.port)),
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithNoProxy(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer().DialContext(ctx, "tcp", address)
		}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(constants.GRPCMaxMessageSize), grpc.ForceCodecV2(proxy.Codec())))
	if err != nil {
		return nil, fmt.Errorf("cannot make a client for %s: %w", target, err)
	}

	return conn, nil
}

// dialer makes connections that end when the other side is silent for vanishLimit.
func dialer() *net.Dialer {
	probes := 2

	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: vanishLimit / 2, Interval: vanishLimit / 4, Count: probes,
		},
		Control: func(_, _ string, raw syscall.RawConn) error {
			var err error
			// Probes are not sent while data waits to be acknowledged; this bounds that wait.
			control := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(vanishLimit.Milliseconds()))
			})

			return errors.Join(control, err)
		},
	}
}

// warm waits until the connection is made or has failed, and answers how it stands.
func warm(ctx context.Context, conn *grpc.ClientConn) connectivity.State {
	for {
		state := conn.GetState()

		switch state {
		case connectivity.Idle:
			conn.Connect()
		case connectivity.Connecting:
		default:
			return state
		}

		if !conn.WaitForStateChange(ctx, state) {
			return state
		}
	}
}
