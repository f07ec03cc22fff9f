package publish_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

func TestEachChangeIsLookedAt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var first, second publish.Notice

	looks := 0

	err := publish.Whenever(ctx, func(context.Context) error {
		looks++

		switch looks {
		case 1:
			// A change while it is looked is seen too.
			first.Notify()
		case 2:
			go second.Notify()
		case 3:
			cancel()
		}

		return nil
	}, first.Changed, second.Changed)
	if err != nil || looks != 3 {
		t.Errorf("%d looks, %v", looks, err)
	}
}

func TestAnErrorEndsTheLooking(t *testing.T) {
	want := errors.New("cannot look")

	if err := publish.Whenever(t.Context(), func(context.Context) error { return want }); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}
