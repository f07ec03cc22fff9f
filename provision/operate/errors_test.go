package operate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/provision"
)

func TestErrorsOfCallsAreInWordsAndNameTheCure(t *testing.T) {
	const dialing = `connection error: desc = "transport: Error while dialing: dial tcp 10.5.0.2:50000: connect: connection refused"`
	const stranger = `connection error: desc = "transport: authentication handshake failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"`
	const required = `connection error: desc = "error reading server preface: remote error: tls: certificate required"`
	for name, test := range map[string]struct {
		err         error
		words, cure string
	}{
		"nobody listens":       {status.Error(codes.Unavailable, dialing), "machine API does not answer: connection refused", "bronze cluster show"},
		"another authority":    {status.Error(codes.Unavailable, stranger), "machine API does not answer: tls: failed to verify certificate: x509: certificate signed by unknown authority", "--insecure"},
		"no certificate":       {status.Error(codes.Unavailable, required), "machine API does not answer: certificate required", "leave --insecure out"},
		"a server of the node": {status.Error(codes.Unavailable, "cannot ask time.example.com: no such host"), "cannot ask time.example.com: no such host", ""},
		"a dead node":          {status.Error(codes.Unavailable, "cannot connect to 10.5.0.9: no answer in 3s"), "cannot connect to 10.5.0.9: no answer in 3s", "bronze cluster show"},
		"not allowed":          {status.Error(codes.PermissionDenied, "not authorized"), "machine API does not allow this: not authorized", "roles"},
		"no such call":         {status.Error(codes.Unimplemented, "unknown method"), "machine API cannot do this: unknown method", ""},
		"a refusal":            {status.Error(codes.FailedPrecondition, "a container has no META"), "a container has no META", ""},
		"no error of a call":   {errors.New("cannot read"), "cannot read", ""},
		"explained before":     {fmt.Errorf("reading: %w", explain(status.Error(codes.NotFound, "gone"))), "reading: gone", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := explain(test.err)
			if got.Error() != test.words {
				t.Errorf("words %q, want %q", got, test.words)
			}
			if hints := strings.Join(provision.Hints(got), "\n"); !strings.Contains(hints, test.cure) || (test.cure == "") != (hints == "") {
				t.Errorf("hints %q, want %q", hints, test.cure)
			}
		})
	}
}
