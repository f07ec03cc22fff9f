package discovery

import (
	"bytes"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"

	"github.com/bronze-os/bronze/images/machined/internal/discovery/seal"
)

// announcement is what all sessions say of this node. It is sealed once for all of them, so that the same words stay the
// same bytes, and a refresh is no news to anybody.
type announcement struct {
	mu      sync.Mutex
	text    []byte
	sealed  []byte
	gone    bool
	changed chan struct{}
}

func newAnnouncement() *announcement {
	return &announcement{changed: make(chan struct{})}
}

// set seals what is to be said, unless it is said already.
func (a *announcement) set(secret *seal.Secret, spec cluster.AffiliateSpec) error {
	message := encode(spec)

	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return err
	}

	a.mu.Lock()
	defer a.mu.Unlock()

	if bytes.Equal(text, a.text) {
		return nil
	}

	sealed, err := secret.Seal(message)
	if err != nil {
		return err
	}

	a.text, a.sealed = text, sealed
	close(a.changed)
	a.changed = make(chan struct{})

	return nil
}

// now answers the sealed words, empty before there are any, and a channel that is closed when they change.
func (a *announcement) now() ([]byte, <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.sealed, a.changed
}

// leave makes all sessions silent.
func (a *announcement) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()

	a.gone = true
}

func (a *announcement) left() bool {
	a.mu.Lock()
	defer a.mu.Unlock()

	return a.gone
}
