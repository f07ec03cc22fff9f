package kubeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	watchPauseMin = 50 * time.Millisecond
	watchPauseMax = 5 * time.Second
)

// Watch calls handle with every object at the collection path, which may hold a query: first as they are and then at each change, until ctx
// ends. It lists anew whenever the watch breaks off, so handle must be level-triggered: it may see an object again.
// A handle that answers an error sees that object again at the next list.
func (c *Client) Watch(ctx context.Context, path string, handle func(context.Context, Object) error) error {
	return repeat(ctx, func() error { return c.watchOnce(ctx, path, handle) })
}

// repeat watches once more whenever a watch broke off, until ctx ends.
func repeat(ctx context.Context, once func() error) error {
	pause := watchPauseMin

	for {
		started := time.Now()

		if err := once(); ctx.Err() != nil {
			return ctx.Err()
		} else if err == nil || time.Since(started) > watchPauseMax {
			pause = watchPauseMin
		}

		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}

		pause = min(2*pause, watchPauseMax)
	}
}

func (c *Client) watchOnce(ctx context.Context, path string, handle func(context.Context, Object) error) error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []Object
	}

	if err := c.Object(ctx, path, &list); err != nil {
		return err
	}

	var errs []error
	for _, object := range list.Items {
		errs = append(errs, handle(ctx, object))
	}

	if err := errors.Join(errs...); err != nil {
		return err
	}

	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}

	return c.follow(ctx, path+separator+"watch=true&resourceVersion="+list.Metadata.ResourceVersion, func(ctx context.Context, e event) error {
		if e.Type == deleted {
			return nil
		}

		return handle(ctx, e.Object)
	})
}

// event is one message of a watch.
type event struct {
	Type   string
	Object Object
}

const deleted = "DELETED"

// follow calls handle with each change.
func (c *Client) follow(ctx context.Context, path string, handle func(context.Context, event) error) error {
	response, err := c.send(ctx, Request{Method: http.MethodGet, Path: path})
	if err != nil {
		return err
	}
	defer response.Body.Close()

	for decoder := json.NewDecoder(response.Body); ; {
		var event event
		if err := decoder.Decode(&event); err != nil {
			return fmt.Errorf("following %s: %w", path, err)
		}

		switch event.Type {
		case "ADDED", "MODIFIED", deleted:
			if err := handle(ctx, event); err != nil {
				return err
			}
		case "ERROR":
			return fmt.Errorf("following %s: %v", path, event.Object["message"])
		}
	}
}
