package operate

import (
	"errors"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/provision"
)

// callError is the error of a call in words, without gRPC's own. The status stays below it.
type callError struct {
	words string
	cause error
}

func (e callError) Error() string { return e.words }

// Unwrap lets client.StatusCode find the status.
func (e callError) Unwrap() error { return e.cause }

// explain turns a call's error into words, and adds the cure where there is one. What is explained stays as it is.
func explain(err error) error {
	if explained := (callError{}); errors.As(err, &explained) {
		return err
	}
	answer := client.Status(err)
	if answer == nil {
		return err
	}
	explained := callError{words: words(answer), cause: err}
	if hint := cure(answer); hint != "" {
		return provision.WithHint(explained, hint)
	}
	return explained
}

func words(answer *status.Status) string {
	message := answer.Message()
	switch answer.Code() {
	case codes.Unavailable:
		if !strings.Contains(message, unconnected) {
			// The node answers; what it wanted to ask does not.
			return message
		}
		return "machine API does not answer: " + lastCause(message)
	case codes.PermissionDenied:
		return "machine API does not allow this: " + message
	case codes.Unimplemented:
		return "machine API cannot do this: " + message
	default:
		return message
	}
}

// lastCause is the innermost of gRPC's nested descriptions, such as "connection refused". Where certificates do not fit,
// the whole of why is kept.
func lastCause(message string) string {
	message = strings.Trim(message, `"`)
	if _, why, isHandshake := strings.Cut(message, handshakeFailed); isHandshake {
		return strings.TrimPrefix(why, ": ")
	}
	if i := strings.LastIndex(message, ": "); i >= 0 {
		return strings.Trim(message[i+2:], `"`)
	}
	return message
}

// unconnected is how gRPC begins to tell why it has no connection.
const unconnected = "connection error"

// handshakeFailed is gRPC's word for certificates that do not fit.
const handshakeFailed = "authentication handshake failed"

func cure(answer *status.Status) string {
	message := answer.Message()
	// An endpoint that passes calls on tells in its own words that it cannot reach a node.
	unreached := strings.Contains(message, unconnected) || strings.HasPrefix(message, "cannot connect")
	certificate := strings.Contains(message, "tls: ") || strings.Contains(message, handshakeFailed)
	switch {
	case answer.Code() == codes.Unavailable && strings.Contains(message, "certificate required"):
		return "the node wants a client certificate: leave --insecure out"
	case answer.Code() == codes.Unavailable && strings.Contains(message, "fingerprint"):
		return "the node's own log shows the fingerprint of its certificate"
	case answer.Code() == codes.Unavailable && certificate:
		return "bronze config info shows whose certificate is used; a node without a machine config wants --insecure"
	case answer.Code() == codes.Unavailable && unreached:
		return "bronze cluster show tells whether the node runs; bronze config info shows the endpoints that are used"
	case answer.Code() == codes.PermissionDenied:
		return "bronze config info shows the roles of the certificate that is used"
	default:
		return ""
	}
}
