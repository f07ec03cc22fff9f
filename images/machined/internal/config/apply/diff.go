package apply

import (
	"fmt"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config"
	"github.com/siderolabs/talos/pkg/machinery/config/encoder"
	"github.com/siderolabs/talos/pkg/machinery/textdiff"
)

// redacted stands where a secret is.
const redacted = "<redacted>"

// Diff is the change from one config to another as a unified diff. Secrets are not in it; those that differ are named
// below it. It is empty where nothing differs.
func Diff(before, after config.Provider) (string, error) {
	hiddenBefore, hiddenAfter := before.RedactSecrets(redacted), after.RedactSecrets(redacted)

	text, err := unified(hiddenBefore, hiddenAfter)
	if err != nil {
		return "", fmt.Errorf("cannot compare machine configs: %w", err)
	}

	shown, err := paths(hiddenBefore, hiddenAfter)
	if err != nil {
		return "", err
	}

	all, err := paths(before, after)
	if err != nil {
		return "", err
	}

	var secret []string

	for _, path := range unique(all.order) {
		if !shown.has[path] {
			secret = append(secret, path)
		}
	}

	if len(secret) > 0 {
		text += "changed, and not shown because secret: " + strings.Join(bounded(secret), ", ") + "\n"
	}

	return text, nil
}

func unified(before, after config.Provider) (string, error) {
	old, err := before.EncodeString(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return "", err
	}

	now, err := after.EncodeString(encoder.WithComments(encoder.CommentsDisabled))
	if err != nil {
		return "", err
	}

	return textdiff.Diff(old, now)
}

// pathList is a list of paths that can be asked for one.
type pathList struct {
	order []string
	has   map[string]bool
}

func paths(before, after config.Provider) (pathList, error) {
	changed, err := changes(before, after)
	if err != nil {
		return pathList{}, err
	}

	list := pathList{has: map[string]bool{}}

	for _, l := range changed {
		path := l.path(len(l.keys))
		list.order = append(list.order, path)
		list.has[path] = true
	}

	return list, nil
}
