package kubernetes

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

// Self keeps the marks of the machine config on this node's own Node.
type Self struct {
	API *kubeapi.Client
	// Name is the Node's.
	Name string
	// Restricted tells that API knows this node as a kubelet, which may not put every mark on its Node.
	Restricted bool
	// Marks answers what the machine config asks for now, Changed a channel that is closed when that may have changed.
	Marks   func() Marks
	Changed func() <-chan struct{}
	Log     *slog.Logger
}

// Run blocks until ctx ends. It acts whenever the Node or the marks change.
func (s Self) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)

	// Taken before the watch looks at the marks for the first time, so that no change is missed.
	changed := s.Changed()

	group.Go(func() error {
		return s.API.Watch(ctx, "/api/v1/nodes?fieldSelector="+url.QueryEscape("metadata.name="+s.Name), s.mark)
	})
	group.Go(func() error { return s.follow(ctx, changed) })

	return group.Wait()
}

// follow looks at the Node anew whenever the marks may have changed. Where that is in vain, the watch makes up for it
// when it next lists.
func (s Self) follow(ctx context.Context, changed <-chan struct{}) error {
	told := s.tell(nil)

	for {
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}

		changed, told = s.Changed(), s.tell(told)

		var node kubeapi.Object

		err := s.API.Object(ctx, s.path(), &node)
		if err == nil {
			err = s.mark(ctx, node)
		}

		if err != nil && ctx.Err() == nil && !kubeapi.IsStatus(err, http.StatusNotFound) {
			s.Log.Warn("cannot mark the Node yet", "error", err)
		}
	}
}

// tell says which marks are in vain, unless it has said so before.
func (s Self) tell(told []string) []string {
	_, refused := s.marks()
	if len(refused) > 0 && !slices.Equal(refused, told) {
		s.Log.Warn("Kubernetes lets only control planes give a Node these labels", "labels", refused)
	}

	return refused
}

func (s Self) path() string { return "/api/v1/nodes/" + url.PathEscape(s.Name) }

func (s Self) marks() (Marks, []string) {
	if s.Restricted {
		return s.Marks().MayMark()
	}

	return s.Marks(), nil
}

func (s Self) mark(ctx context.Context, node kubeapi.Object) error {
	marks, _ := s.marks()

	patch := marks.Patch(node)
	if len(patch) == 0 {
		return nil
	}

	err := s.API.Do(ctx, kubeapi.Request{
		Method: http.MethodPatch, Path: s.path(), Body: patch, ContentType: "application/merge-patch+json",
	}, nil)

	var status *kubeapi.StatusError

	switch final := []int{http.StatusBadRequest, http.StatusForbidden, http.StatusUnprocessableEntity}; {
	case kubeapi.IsStatus(err, http.StatusConflict):
		// Somebody else was first; the change comes back through the watch.
		return nil
	case errors.As(err, &status) && slices.Contains(final, status.Code):
		s.Log.Warn("Kubernetes refuses the Node's labels, annotations or taints", "error", err)
		return nil
	default:
		return err
	}
}
