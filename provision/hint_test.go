package provision

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHintsAreFoundInTheWholeTree(t *testing.T) {
	deep := WithHint(errors.New("deep"), "dig")
	err := WithHint(fmt.Errorf("doing: %w", errors.Join(deep, WithHint(ErrClash, "rename"), WithHint(ErrClash, "rename"))), "try again")
	if diff := cmp.Diff([]string{"try again", "dig", "rename"}, Hints(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(err, ErrClash) {
		t.Error("a hint hides the error that it hints at")
	}
	if got := deep.Error(); got != "deep" {
		t.Errorf("the error's text is %q: hints are no part of it", got)
	}
}

func TestNoErrorTakesNoHint(t *testing.T) {
	if err := WithHint(nil, "try"); err != nil {
		t.Errorf("got %v", err)
	}
}
