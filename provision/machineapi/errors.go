package machineapi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cosi-project/runtime/pkg/state"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/provision"
)

// explain turns a call's error into words, without gRPC's own, and marks what waiting cannot mend.
func explain(err error) error {
	if err == nil {
		return nil
	}
	answer, isStatus := status.FromError(err)
	if state.IsConflictError(err) {
		answer, isStatus = ofConflict(err), true
	}
	if !isStatus {
		return err
	}
	if hopeless(answer) {
		return fmt.Errorf("machine API: %s: %w", answer.Message(), provision.ErrHopeless)
	}
	if answer.Code() == codes.Unavailable && unconnected(answer.Message()) {
		return errors.New("machine API does not answer yet: " + lastCause(answer.Message()))
	}
	return fmt.Errorf("machine API: %s", answer.Message())
}

// ofConflict is the status that the COSI client makes a conflict of and keeps to itself.
func ofConflict(err error) *status.Status {
	code := codes.FailedPrecondition
	if state.IsOwnerConflictError(err) {
		code = codes.PermissionDenied
	}
	_, words, _ := strings.Cut(err.Error(), "desc = ")
	return status.New(code, words)
}

func hopeless(answer *status.Status) bool {
	switch answer.Code() {
	case codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return true
	case codes.Unavailable:
		// Somebody answers with a certificate that this cluster's authority did not sign.
		return strings.Contains(answer.Message(), "failed to verify certificate")
	default:
		return false
	}
}

// unconnected tells the words of a client, or of the control plane that passes its call on, that has no connection from
// those of a node that answers and could not ask another.
func unconnected(message string) bool {
	return strings.Contains(message, "connection error") || strings.HasPrefix(message, "cannot connect")
}

// lastCause is the innermost of gRPC's nested descriptions, such as "connection refused".
func lastCause(message string) string {
	message = strings.Trim(message, `"`)
	if i := strings.LastIndex(message, ": "); i >= 0 {
		return strings.Trim(message[i+2:], `"`)
	}
	return message
}
