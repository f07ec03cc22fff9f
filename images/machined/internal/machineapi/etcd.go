package machineapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// etcdLimit bounds one question to etcd.
const etcdLimit = 5 * time.Second

// EtcdMemberList is part of machine.MachineServiceServer.
func (s *server) EtcdMemberList(ctx context.Context, request *machine.EtcdMemberListRequest) (*machine.EtcdMemberListResponse, error) {
	list, err := ask(ctx, s.opts.Etcd, func(ctx context.Context, conn *grpc.ClientConn) (*etcdserverpb.MemberListResponse, error) {
		return etcdserverpb.NewClusterClient(conn).MemberList(ctx, &etcdserverpb.MemberListRequest{
			// The whole cluster's answer needs a quorum; the member's own does not.
			Linearizable: !request.QueryLocal,
		})
	})
	if err != nil {
		return nil, err
	}

	members := &machine.EtcdMembers{}

	for _, member := range list.Members {
		members.LegacyMembers = append(members.LegacyMembers, member.Name)
		members.Members = append(members.Members, &machine.EtcdMember{
			Id:         member.ID,
			Hostname:   member.Name,
			PeerUrls:   member.PeerURLs,
			ClientUrls: member.ClientURLs,
			IsLearner:  member.IsLearner,
		})
	}

	return &machine.EtcdMemberListResponse{Messages: []*machine.EtcdMembers{members}}, nil
}

// EtcdStatus is part of machine.MachineServiceServer.
func (s *server) EtcdStatus(ctx context.Context, _ *emptypb.Empty) (*machine.EtcdStatusResponse, error) {
	answer, err := ask(ctx, s.opts.Etcd, func(ctx context.Context, conn *grpc.ClientConn) (*etcdserverpb.StatusResponse, error) {
		return etcdserverpb.NewMaintenanceClient(conn).Status(ctx, &etcdserverpb.StatusRequest{})
	})
	if err != nil {
		return nil, err
	}

	return &machine.EtcdStatusResponse{Messages: []*machine.EtcdStatus{{MemberStatus: &machine.EtcdMemberStatus{
		StorageVersion:   answer.StorageVersion,
		MemberId:         answer.Header.MemberId,
		ProtocolVersion:  answer.Version,
		DbSize:           answer.DbSize,
		DbSizeInUse:      answer.DbSizeInUse,
		Leader:           answer.Leader,
		RaftIndex:        answer.RaftIndex,
		RaftTerm:         answer.RaftTerm,
		RaftAppliedIndex: answer.RaftAppliedIndex,
		Errors:           answer.Errors,
		IsLearner:        answer.IsLearner,
	}}}}, nil
}

// ask puts one question to the node's etcd, which must answer within etcdLimit.
func ask[T any](ctx context.Context, etcd Etcd, question func(context.Context, *grpc.ClientConn) (T, error)) (T, error) {
	return askWithin(ctx, etcd, etcdLimit, question)
}

// askWithin bounds the question by another limit; 0 is none but ctx's.
func askWithin[T any](ctx context.Context, etcd Etcd, limit time.Duration, question func(context.Context, *grpc.ClientConn) (T, error)) (T, error) {
	var none T

	conn, err := etcd.dial()
	if err != nil {
		return none, err
	}
	defer conn.Close()

	if limit > 0 {
		bounded, cancel := context.WithTimeout(ctx, limit)
		defer cancel()

		ctx = bounded
	}

	answer, err := question(ctx, conn)
	if err != nil {
		return none, status.Errorf(status.Code(err), "asking etcd: %s", status.Convert(err).Message())
	}

	return answer, nil
}

// dial makes a connection for one question: they are rare, and the certificates may have been renewed since the last.
func (e Etcd) dial() (*grpc.ClientConn, error) {
	if e.Endpoint == "" {
		return nil, errNoEtcd
	}

	config, err := e.tls()
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "connecting to etcd: %v", err)
	}

	conn, err := grpc.NewClient("passthrough:///"+e.Endpoint, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot make a client of etcd: %v", err)
	}

	return conn, nil
}

func (e Etcd) tls() (*tls.Config, error) {
	ca, err := os.ReadFile(e.CA)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CA: %w", err)
	}

	cert, err := tls.LoadX509KeyPair(e.Cert, e.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot read the client certificate: %w", err)
	}

	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)

	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{cert}}, nil
}
