package kubeapi

import (
	"context"
	"net/url"
)

// WatchOne calls handle with the object of that name at the collection path, first as it is and then at each change, and
// with nil where there is none, until ctx ends. Like Watch it starts anew whenever it breaks off, so that handle may see the
// same again.
func (c *Client) WatchOne(ctx context.Context, collection, name string, handle func(context.Context, Object) error) error {
	path := collection + "?fieldSelector=" + url.QueryEscape("metadata.name="+name)

	return repeat(ctx, func() error { return c.watchOneOnce(ctx, path, handle) })
}

func (c *Client) watchOneOnce(ctx context.Context, path string, handle func(context.Context, Object) error) error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []Object
	}

	if err := c.Object(ctx, path, &list); err != nil {
		return err
	}

	var now Object
	if len(list.Items) > 0 {
		now = list.Items[0]
	}

	if err := handle(ctx, now); err != nil {
		return err
	}

	return c.follow(ctx, path+"&watch=true&resourceVersion="+list.Metadata.ResourceVersion, func(ctx context.Context, e event) error {
		if e.Type == deleted {
			return handle(ctx, nil)
		}

		return handle(ctx, e.Object)
	})
}
