package canary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Plant makes a pod on each of the nodes, with a volume of that node's own and data on it, and waits until all serve it.
// What another run left is taken away before.
func (c *Canary) Plant(ctx context.Context, nodes []string) error {
	if err := c.Uproot(ctx); err != nil {
		return err
	}
	c.nodes = slices.Clone(nodes)
	if err := c.create(ctx); err != nil {
		return fmt.Errorf("planting the canary: %w", err)
	}
	for i := range nodes {
		if err := c.store(ctx, i); err != nil {
			return fmt.Errorf("planting %s on %s: %w", podName(i), nodes[i], err)
		}
	}
	return nil
}

func (c *Canary) create(ctx context.Context) error {
	return persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error {
			_, err := api.CoreV1().Namespaces().Create(ctx, namespace(c.space()), metav1.CreateOptions{})
			errs := []error{made(err)}
			for i, node := range c.nodes {
				_, err := api.CoreV1().PersistentVolumes().Create(ctx, volume(i, node, c.space()), metav1.CreateOptions{})
				errs = append(errs, made(err))
			}
			_, err = api.AppsV1().StatefulSets(c.space()).Create(ctx, statefulSet(len(c.nodes), c.image), metav1.CreateOptions{})
			return errors.Join(append(errs, made(err))...)
		})
	})
}

// made takes what is there already for made: an earlier request may have come through without an answer.
func made(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// gone takes what is not there for removed.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// data is what the pod with that ordinal must serve.
func (c *Canary) data(i int) string {
	return fmt.Sprintf("%s on %s, %s", podName(i), c.nodes[i], c.nonce)
}

// through is a request for the pod's data, by way of the API server, so that the host needs no way to pods.
func (c *Canary) through(api kubernetes.Interface, verb string, i int, body string) *rest.Request {
	return api.CoreV1().RESTClient().Verb(verb).Namespace(c.space()).Resource("pods").
		Name(fmt.Sprintf("%s:%d", podName(i), port)).SubResource("proxy").Suffix("files", "mark").Body([]byte(body))
}

// podLimit bounds a request to a pod, which may be one to an address that nobody has any more.
const podLimit = 2 * time.Second

// store puts the data of a pod on its volume as soon as the pod serves.
func (c *Canary) store(ctx context.Context, i int) error {
	return persist(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, podLimit)
		defer cancel()
		return c.call(ctx, func(api kubernetes.Interface) error {
			_, err := c.through(api, "PUT", i, c.data(i)).DoRaw(ctx)
			return err
		})
	})
}

// Sing asks each pod for its data, and tells why not all of them serve it.
func (c *Canary) Sing(ctx context.Context) (string, error) {
	var why []string
	for i := range c.nodes {
		limited, cancel := context.WithTimeout(ctx, podLimit)
		err := c.call(limited, func(api kubernetes.Interface) error {
			text, err := c.through(api, "GET", i, "").DoRaw(limited)
			if err == nil && string(text) != c.data(i) {
				why = append(why, fmt.Sprintf("%s serves %q, not its data", podName(i), text))
			}
			return err
		})
		cancel()
		if err != nil {
			why = append(why, fmt.Sprintf("%s on %s: %v", podName(i), c.nodes[i], err))
		}
	}
	return strings.Join(why, "; "), ctx.Err()
}

// Stranded are the pods that are still bound to the nodes.
func (c *Canary) Stranded(ctx context.Context, nodes []string) (stranded []string, err error) {
	err = persist(ctx, func(ctx context.Context) error {
		return c.call(ctx, func(api kubernetes.Interface) error {
			list, err := api.CoreV1().Pods(c.space()).List(ctx, metav1.ListOptions{LabelSelector: Selector})
			if err != nil {
				return err
			}
			stranded = bound(list.Items, nodes)
			return nil
		})
	})
	return stranded, err
}

func bound(pods []corev1.Pod, nodes []string) []string {
	var names []string
	for _, pod := range pods {
		if slices.Contains(nodes, pod.Spec.NodeName) {
			names = append(names, pod.Name+" on "+pod.Spec.NodeName)
		}
	}
	return names
}
