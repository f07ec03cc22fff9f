package kubeapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Create creates the object; one that exists already is a conflict, see IsStatus.
func (c *Client) Create(ctx context.Context, object Object) error {
	path, err := c.collection(ctx, object)
	if err != nil {
		return err
	}

	request := Request{Method: http.MethodPost, Path: path + "?fieldManager=" + FieldManager, Body: object}
	if err := c.Do(ctx, request, nil); err != nil {
		return fmt.Errorf("creating %s %q: %w", object.Kind(), object.Name(), err)
	}

	return nil
}

// Exists answers nil where the API has an object of that kind and name.
func (c *Client) Exists(ctx context.Context, object Object) error {
	_, err := c.Find(ctx, object)

	return err
}

// Find answers the object of that kind and name as the API has it.
func (c *Client) Find(ctx context.Context, object Object) (Object, error) {
	path, err := c.collection(ctx, object)
	if err != nil {
		return nil, err
	}

	var found Object

	return found, c.Object(ctx, path+"/"+url.PathEscape(object.Name()), &found)
}

// Apply brings an object to what this one holds, whoever else has set its fields, and leaves all others as they are
// (server-side apply).
func (c *Client) Apply(ctx context.Context, object Object) error {
	path, err := c.collection(ctx, object)
	if err != nil {
		return err
	}

	request := Request{
		Method:      http.MethodPatch,
		Path:        path + "/" + url.PathEscape(object.Name()) + "?force=true&fieldManager=" + FieldManager,
		Body:        object,
		ContentType: "application/apply-patch+yaml",
	}
	if err := c.Do(ctx, request, nil); err != nil {
		return fmt.Errorf("applying %s %q: %w", object.Kind(), object.Name(), err)
	}

	return nil
}

// collection finds the URL path that the object is created at: the kinds of our own manifests are known, others are
// asked of the API.
func (c *Client) collection(ctx context.Context, object Object) (string, error) {
	resource, ok := resources()[object.APIVersion()+"/"+object.Kind()]
	if !ok {
		var err error
		if resource, err = c.discover(ctx, object); err != nil {
			return "", err
		}
	}

	path := groupPath(object.APIVersion())

	if resource.namespaced {
		namespace := object.Namespace()
		if namespace == "" {
			namespace = "default"
		}

		path += "/namespaces/" + url.PathEscape(namespace)
	}

	return path + "/" + resource.name, nil
}

func groupPath(apiVersion string) string {
	if strings.Contains(apiVersion, "/") {
		return "/apis/" + apiVersion
	}

	return "/api/" + apiVersion
}

type resource struct {
	name       string
	namespaced bool
}

// resources saves a round trip for the kinds that every boot applies.
func resources() map[string]resource {
	return map[string]resource{
		"v1/ConfigMap":       {"configmaps", true},
		"v1/Namespace":       {"namespaces", false},
		"v1/Pod":             {"pods", true},
		"v1/Secret":          {"secrets", true},
		"v1/Service":         {"services", true},
		"v1/ServiceAccount":  {"serviceaccounts", true},
		"apps/v1/DaemonSet":  {"daemonsets", true},
		"apps/v1/Deployment": {"deployments", true},
		"rbac.authorization.k8s.io/v1/ClusterRole":        {"clusterroles", false},
		"rbac.authorization.k8s.io/v1/ClusterRoleBinding": {"clusterrolebindings", false},
		"scheduling.k8s.io/v1/PriorityClass":              {"priorityclasses", false},
	}
}

func (c *Client) discover(ctx context.Context, object Object) (resource, error) {
	var list struct {
		Resources []struct {
			Name, Kind string
			Namespaced bool
		}
	}

	if err := c.Object(ctx, groupPath(object.APIVersion()), &list); err != nil {
		return resource{}, fmt.Errorf("looking up kind %s: %w", object.Kind(), err)
	}

	for _, found := range list.Resources {
		if found.Kind == object.Kind() && !strings.Contains(found.Name, "/") {
			return resource{found.Name, found.Namespaced}, nil
		}
	}

	return resource{}, fmt.Errorf("the API has no kind %s in %s", object.Kind(), object.APIVersion())
}
