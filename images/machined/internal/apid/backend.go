package apid

import (
	"context"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/constants"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/images/machined/internal/apid/authz"
)

// backend is one node that a call goes to, as the proxy wants it.
type backend struct {
	// target is what the caller called the node; empty when it named none.
	target string
	conn   *grpc.ClientConn
	// err tells why there is no connection.
	err error
}

// String names the node.
func (b *backend) String() string { return b.target }

// GetConnection answers the connection, and a context with all of the metadata that goes on: nothing of the caller's
// own, only whom the call is for and that it was routed.
func (b *backend) GetConnection(ctx context.Context, _ string) (context.Context, *grpc.ClientConn, error) {
	out := metadata.MD{constants.APIAuthzRoleMetadataKey: authz.PeerRoles(ctx).Strings()}
	out.Set(authz.ProxyFromKey, "apid")

	return metadata.NewOutgoingContext(ctx, out), b.conn, b.err
}

// AppendInfo marks an answer with the node that it is from.
func (b *backend) AppendInfo(streaming bool, answer []byte) ([]byte, error) {
	mark, err := proto.Marshal(&common.Empty{Metadata: &common.Metadata{Hostname: b.target}})
	if err != nil {
		return nil, err
	}

	if streaming {
		return append(answer, mark...), nil
	}

	return markMessages(answer, mark)
}

// messagesField is the number of the repeated field that every mergeable answer has.
const messagesField = 1

// markMessages puts mark, an encoded field, into each message of an encoded answer. In protobuf's encoding that is
// appending it, and correcting the length in front.
func markMessages(answer, mark []byte) ([]byte, error) {
	var marked []byte

	for len(answer) > 0 {
		number, kind, head := protowire.ConsumeTag(answer)
		if head < 0 {
			return nil, protowire.ParseError(head)
		}

		length := protowire.ConsumeFieldValue(number, kind, answer[head:])
		if length < 0 {
			return nil, protowire.ParseError(length)
		}

		field, value := answer[:head+length], answer[head:head+length]
		answer = answer[head+length:]

		if number != messagesField || kind != protowire.BytesType {
			marked = append(marked, field...)
			continue
		}

		message, _ := protowire.ConsumeBytes(value)
		marked = protowire.AppendTag(marked, messagesField, protowire.BytesType)
		marked = protowire.AppendVarint(marked, uint64(len(message)+len(mark)))
		marked = append(append(marked, message...), mark...)
	}

	return marked, nil
}

// BuildError puts a node's error in the place of its answer.
func (b *backend) BuildError(streaming bool, err error) ([]byte, error) {
	message := &common.Empty{Metadata: &common.Metadata{
		Hostname: b.target,
		Error:    err.Error(),
		Status:   status.Convert(err).Proto(),
	}}

	if streaming {
		return proto.Marshal(message)
	}

	return proto.Marshal(&common.EmptyResponse{Messages: []*common.Empty{message}})
}
