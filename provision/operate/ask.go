package operate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// atOnce bounds how many nodes are asked side by side.
const atOnce = 16

// Answer is what one node said.
type Answer[M proto.Message] struct {
	Node    string
	Message M
}

// MarshalJSON is the message's own JSON with the node's name in it.
func (a Answer[M]) MarshalJSON() ([]byte, error) {
	data, err := protojson.Marshal(a.Message)
	if err != nil {
		return nil, fmt.Errorf("cannot encode an answer: %w", err)
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("cannot encode an answer: %w", err)
	}
	delete(fields, "metadata")
	if fields["node"], err = json.Marshal(a.Node); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// said is what an answer of the machine API carries beside its content: the error of a node that could not answer.
type said interface{ GetMetadata() *common.Metadata }

// unary is a call of the machine service that answers once, such as machine.MachineServiceClient.ServiceList.
type unary[Q, R any] func(machine.MachineServiceClient, context.Context, Q, ...grpc.CallOption) (R, error)

// ask sends a request of the machine service to every node. The answers stand in the nodes' order; those of nodes that
// failed are missing, and the error tells why of each.
func ask[Q any, M proto.Message, R interface{ GetMessages() []M }](
	ctx context.Context, f *Fleet, call unary[Q, R], request Q,
) ([]Answer[M], error) {
	return askEach(ctx, f, func(ctx context.Context, n node) (R, error) { return call(n.client.MachineClient, ctx, request) })
}

// askEach is ask for calls of any service.
func askEach[M proto.Message, R interface{ GetMessages() []M }](
	ctx context.Context, f *Fleet, call func(context.Context, node) (R, error),
) ([]Answer[M], error) {
	found := make([]*Answer[M], len(f.nodes))
	err := f.each(ctx, func(ctx context.Context, i int, n node) error {
		response, err := call(ctx, n)
		if err != nil {
			return err
		}
		for _, message := range response.GetMessages() {
			if err := failed(message); err != nil {
				return err
			}
			found[i] = &Answer[M]{Node: n.name, Message: message}
		}
		return nil
	})
	answers := []Answer[M]{}
	for _, answer := range found {
		if answer != nil {
			answers = append(answers, *answer)
		}
	}
	return answers, err
}

// each works on all nodes side by side. One that fails stops no other; the errors name their nodes.
func (f *Fleet) each(ctx context.Context, do func(ctx context.Context, i int, n node) error) error {
	errs := make([]error, len(f.nodes))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, n := range f.nodes {
		group.Go(func() error {
			if err := do(n.to(ctx), i, n); err != nil {
				errs[i] = fmt.Errorf("node %s: %w", n.name, explain(err))
			}
			return nil
		})
	}
	return errors.Join(append(errs, group.Wait())...)
}

// server is a call of the machine service that answers with a stream, such as machine.MachineServiceClient.Logs.
type server[Q, T any] func(machine.MachineServiceClient, context.Context, Q, ...grpc.CallOption) (grpc.ServerStreamingClient[T], error)

// receive opens a stream of the machine service on every node and hands on what comes, one message at a time. It ends
// when all streams have, or with ctx, which is no error.
func receive[Q, T any](ctx context.Context, f *Fleet, call server[Q, T], request Q, hear func(node string, message *T) error) error {
	return receiveEach(ctx, f, func(ctx context.Context, n node) (grpc.ServerStreamingClient[T], error) {
		return call(n.client.MachineClient, ctx, request)
	}, hear)
}

// receiveEach is receive for streams of any service.
func receiveEach[T any](
	ctx context.Context, f *Fleet, open func(context.Context, node) (grpc.ServerStreamingClient[T], error),
	hear func(node string, message *T) error,
) error {
	var mutex sync.Mutex
	return f.each(ctx, func(ctx context.Context, _ int, n node) error {
		// Whoever stops listening ends the stream on the node too.
		streaming, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := open(streaming, n)
		if err != nil {
			return unlessEnded(ctx, err)
		}
		for {
			message, err := stream.Recv()
			if err != nil {
				return unlessEnded(ctx, err)
			}
			if err := failed(message); err != nil {
				return err
			}
			mutex.Lock()
			err = hear(n.name, message)
			mutex.Unlock()
			if err != nil {
				return err
			}
		}
	})
}

// unlessEnded is the error of a stream, or nothing where its end was asked for.
func unlessEnded(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) || ctx.Err() != nil && status.Code(err) != codes.OK {
		return nil
	}
	return err
}

// failed is the error that an endpoint wrote in place of a node's answer.
func failed(message any) error {
	answer, carries := message.(said)
	if !carries || answer.GetMetadata().GetError() == "" {
		return nil
	}
	if answer.GetMetadata().GetStatus() != nil {
		return status.ErrorProto(answer.GetMetadata().GetStatus())
	}
	return errors.New(answer.GetMetadata().GetError())
}
