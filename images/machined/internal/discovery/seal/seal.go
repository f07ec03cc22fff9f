// Package seal is the cluster's secret at work in discovery: it keeps what nodes say of themselves from strangers, and
// tells members from them. It knows the form of what goes over the wire and nothing of who sends it; it may import the
// discovery API's messages, and no other room of machined.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/siderolabs/discovery-api/api/v1alpha1/client/pb"
	"google.golang.org/protobuf/proto"
)

// ErrForeign is in the error of Open for what another secret sealed, or nobody.
var ErrForeign = errors.New("it was not sealed with the cluster's secret")

// Secret seals and opens. New makes one.
type Secret struct {
	affiliates cipher.AEAD
	endpoints  cipher.Block
	proofs     []byte
}

// New takes a secret as the machine config has it in cluster.secret: 16, 24 or 32 bytes in standard base64.
func New(encoded string) (*Secret, error) {
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("cannot read cluster.secret: %w", err)
	}

	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cannot use cluster.secret: %w", err)
	}

	affiliates, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("cannot use cluster.secret: %w", err)
	}

	return &Secret{affiliates: affiliates, endpoints: block, proofs: sum(key, "proofs")}, nil
}

// Seal makes an affiliate unreadable, each time into other bytes: nonce, ciphertext and tag of AES-GCM, as siderolabs'
// discovery client does (https://github.com/siderolabs/discovery-client, pkg/client).
func (s *Secret) Seal(affiliate *pb.Affiliate) ([]byte, error) {
	text, err := proto.Marshal(affiliate)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the affiliate: %w", err)
	}

	return s.affiliates.Seal(nil, nil, text, nil), nil
}

// Open reads what Seal made; ErrForeign is in the error for bytes of another origin.
func (s *Secret) Open(sealed []byte) (*pb.Affiliate, error) {
	text, err := s.affiliates.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot open the affiliate: %w", ErrForeign)
	}

	affiliate := &pb.Affiliate{}
	if err := proto.Unmarshal(text, affiliate); err != nil {
		return nil, fmt.Errorf("cannot parse the affiliate: %w", err)
	}

	return affiliate, nil
}

// OpenEndpoint reads an endpoint for KubeSpan: one byte with the length of a message, the message, zeros up to a
// multiple of AES's block, each block encrypted by itself, so that the same endpoint always looks the same.
// siderolabs' client trusts the length that it finds; whoever hands endpoints on to one opens them first.
func (s *Secret) OpenEndpoint(sealed []byte) (*pb.Endpoint, error) {
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("cannot open an endpoint of %d bytes: it is not made of blocks of %d", len(sealed), aes.BlockSize)
	}

	text := make([]byte, len(sealed))
	for i := 0; i < len(sealed); i += aes.BlockSize {
		s.endpoints.Decrypt(text[i:], sealed[i:])
	}

	length, text := int(text[0]), text[1:]
	if length > len(text) {
		return nil, fmt.Errorf("cannot open the endpoint: %w", ErrForeign)
	}

	endpoint := &pb.Endpoint{}
	if err := proto.Unmarshal(text[:length], endpoint); err != nil {
		return nil, fmt.Errorf("cannot parse the endpoint: %w", err)
	}

	return endpoint, nil
}

// sum is the HMAC of the parts, each with its length before it, so that no two lists of parts are one text.
func sum(key []byte, parts ...string) []byte {
	mac := hmac.New(sha256.New, key)

	for _, part := range parts {
		// A hash takes everything.
		_, _ = fmt.Fprintf(mac, "%d:%s", len(part), part)
	}

	return mac.Sum(nil)
}
