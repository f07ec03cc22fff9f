package seal_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
	"github.com/bronze-os/bronze/images/machined/internal/machinepki/pkitest"
)

func key(letter string) []byte { return []byte(strings.Repeat(letter, 32)) }

func secret(t *testing.T, letter string) *seal.Secret {
	t.Helper()

	s, err := seal.New(base64.StdEncoding.EncodeToString(key(letter)))
	if err != nil {
		t.Fatal(err)
	}

	return s
}

func TestOnlyTheSameSecretOpens(t *testing.T) {
	want := &pb.Affiliate{NodeId: "id", Hostname: "node-1"}

	sealed, err := secret(t, "a").Seal(want)
	if err != nil {
		t.Fatal(err)
	}

	if got, err := secret(t, "a").Open(sealed); err != nil || !proto.Equal(got, want) {
		t.Errorf("opened %v, %v", got, err)
	}

	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1

	for name, open := range map[string]func() (*pb.Affiliate, error){
		"another secret": func() (*pb.Affiliate, error) { return secret(t, "b").Open(sealed) },
		"a changed byte": func() (*pb.Affiliate, error) { return secret(t, "a").Open(changed) },
		"a part":         func() (*pb.Affiliate, error) { return secret(t, "a").Open(sealed[:20]) },
		"nothing":        func() (*pb.Affiliate, error) { return secret(t, "a").Open(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := open(); !errors.Is(err, seal.ErrForeign) {
				t.Errorf("opened %v, %v", got, err)
			}
		})
	}
}

func TestTheSecretOfAMachineConfig(t *testing.T) {
	for text, good := range map[string]bool{
		base64.StdEncoding.EncodeToString(make([]byte, 32)): true,
		base64.StdEncoding.EncodeToString(make([]byte, 16)): true,
		base64.StdEncoding.EncodeToString(make([]byte, 15)): false,
		"":      false,
		"no!64": false,
	} {
		if _, err := seal.New(text); (err == nil) != good {
			t.Errorf("New(%q) = %v", text, err)
		}
	}
}

// blocks encrypts each block by itself, as siderolabs' client does with endpoints.
func blocks(t *testing.T, letter string, text []byte) []byte {
	t.Helper()

	block, err := aes.NewCipher(key(letter))
	if err != nil {
		t.Fatal(err)
	}

	text = append(text, make([]byte, (aes.BlockSize-len(text)%aes.BlockSize)%aes.BlockSize)...)
	for i := 0; i < len(text); i += aes.BlockSize {
		block.Encrypt(text[i:], text[i:])
	}

	return text
}

func TestEndpointsAreReadWithCare(t *testing.T) {
	message, err := proto.Marshal(&pb.Endpoint{Ip: []byte{10, 5, 0, 2}, Port: 51820})
	if err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name   string
		sealed []byte
		good   bool
	}{
		{"a good one", blocks(t, "a", append([]byte{byte(len(message))}, message...)), true},
		{"nothing", nil, false},
		{"no whole block", []byte{1, 2, 3}, false},
		{"a length beyond its end", blocks(t, "a", []byte{200, 1, 2}), false},
		{"no message", blocks(t, "a", []byte{3, 255, 255, 255}), false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := secret(t, "a").OpenEndpoint(test.sealed)
			if (err == nil) != test.good || (test.good && got.GetPort() != 51820) {
				t.Errorf("opened %v, %v", got, err)
			}
		})
	}
}

// connection makes a TLS connection, and answers what each end knows of it.
func connection(t *testing.T, c *pkitest.Cluster) (client, server credentials.AuthInfo) {
	t.Helper()

	near, far := net.Pipe()
	t.Cleanup(func() { near.Close(); far.Close() })

	pair, err := tls.X509KeyPair(c.CA.CrtPEM, c.CA.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}

	accepted := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	done := make(chan error, 1)

	go func() { done <- accepted.Handshake() }()

	dialled := tls.Client(near, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err := errors.Join(dialled.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}

	return credentials.TLSInfo{State: dialled.ConnectionState()}, credentials.TLSInfo{State: accepted.ConnectionState()}
}

// sent is the context of a call as the server gets it.
func sent(t *testing.T, proof seal.Deletion, client, server credentials.AuthInfo) context.Context {
	t.Helper()

	call := credentials.NewContextWithRequestInfo(t.Context(), credentials.RequestInfo{AuthInfo: client})

	header, err := proof.GetRequestMetadata(call)
	if err != nil {
		t.Fatal(err)
	}

	return peer.NewContext(metadata.NewIncomingContext(t.Context(), metadata.New(header)), &peer.Peer{AuthInfo: server})
}

func TestAProofIsForOneNodeOnOneConnection(t *testing.T) {
	c := pkitest.NewCluster(t)
	client, server := connection(t, c)
	_, elsewhere := connection(t, c)
	want := seal.Deletion{Secret: secret(t, "a"), ClusterID: "cluster", AffiliateID: "id"}

	tests := []struct {
		name   string
		proof  seal.Deletion
		server credentials.AuthInfo
		good   bool
	}{
		{"the proof", want, server, true},
		{"of another secret", seal.Deletion{Secret: secret(t, "b"), ClusterID: "cluster", AffiliateID: "id"}, server, false},
		{"for another node", seal.Deletion{Secret: want.Secret, ClusterID: "cluster", AffiliateID: "di"}, server, false},
		{"for another cluster", seal.Deletion{Secret: want.Secret, ClusterID: "clusteri", AffiliateID: "d"}, server, false},
		{"sent again on another connection", want, elsewhere, false},
		{"without TLS", want, nil, false},
		{"before the handshake", want, credentials.TLSInfo{}, false},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := want.Check(sent(t, test.proof, client, test.server))
			if test.good != (err == nil) || (err != nil && !errors.Is(err, seal.ErrUnproven)) {
				t.Errorf("Check = %v", err)
			}
		})
	}

	t.Run("without any", func(t *testing.T) {
		for _, ctx := range []context.Context{t.Context(), peer.NewContext(t.Context(), &peer.Peer{AuthInfo: server})} {
			if err := want.Check(ctx); !errors.Is(err, seal.ErrUnproven) {
				t.Errorf("Check = %v", err)
			}
		}
	})
}
