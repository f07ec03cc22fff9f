package seal

import (
	"context"
	"crypto/hmac"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// proofKey is the metadata that bears a proof.
const proofKey = "bronze-discovery-proof"

// exporterLabel names the key that both ends of a TLS connection can derive and nobody else (RFC 8446, 7.5).
const exporterLabel = "EXPORTER-bronze-discovery-delete"

const exporterBytes = 32

// ErrUnproven is in the error of Check for a caller that did not show that it knows the secret.
var ErrUnproven = errors.New("the caller has not proven that it knows the cluster's secret")

// Deletion is the credentials of one call that deletes an affiliate: a proof that the caller knows the secret. It is
// bound to the TLS connection, so that nobody can use it again elsewhere, and needs no clock.
type Deletion struct {
	Secret                 *Secret
	ClusterID, AffiliateID string
}

// GetRequestMetadata is part of credentials.PerRPCCredentials.
func (d Deletion) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	request, ok := credentials.RequestInfoFromContext(ctx)
	if !ok {
		return nil, errors.New("cannot prove the cluster's secret: the call has no connection")
	}

	proof, err := d.proof(request.AuthInfo)
	if err != nil {
		return nil, err
	}

	return map[string]string{proofKey: hex.EncodeToString(proof)}, nil
}

// RequireTransportSecurity is part of credentials.PerRPCCredentials.
func (Deletion) RequireTransportSecurity() bool { return true }

// Check tells on the server whether the caller sent the proof; ErrUnproven is in the error where it did not.
func (d Deletion) Check(ctx context.Context) error {
	caller, ok := peer.FromContext(ctx)
	if !ok {
		return ErrUnproven
	}

	want, err := d.proof(caller.AuthInfo)
	if err != nil {
		return errors.Join(ErrUnproven, err)
	}

	given := metadata.ValueFromIncomingContext(ctx, proofKey)
	if len(given) != 1 {
		return ErrUnproven
	}

	if got, err := hex.DecodeString(given[0]); err != nil || !hmac.Equal(got, want) {
		return ErrUnproven
	}

	return nil
}

func (d Deletion) proof(info credentials.AuthInfo) ([]byte, error) {
	secured, ok := info.(credentials.TLSInfo)
	if !ok {
		return nil, errors.New("cannot prove the cluster's secret without TLS")
	}

	connection, err := export(secured.State)
	if err != nil {
		return nil, err
	}

	return sum(d.Secret.proofs, "delete", string(connection), d.ClusterID, d.AffiliateID), nil
}

func export(state tls.ConnectionState) ([]byte, error) {
	if !state.HandshakeComplete {
		return nil, errors.New("cannot prove the cluster's secret before the TLS handshake")
	}

	connection, err := state.ExportKeyingMaterial(exporterLabel, nil, exporterBytes)
	if err != nil {
		return nil, fmt.Errorf("cannot tell the TLS connection from others: %w", err)
	}

	return connection, nil
}
