// Package kube asks a cluster's Kubernetes API how far it is, and clears up after nodes that are gone. Every question is
// one request: who waits asks again. It may import client-go, provision/machineconfig and provision/picture, and no
// provider.
package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

// questionTimeout bounds one request: a node that boots may take a connection and then say nothing.
const questionTimeout = 3 * time.Second

// Client implements provision.Kubernetes and reconcile.Kubernetes.
type Client struct {
	set kubernetes.Interface
	// close ends idle connections.
	close func()
}

// Open makes a client of the cluster's Kubernetes API as administrator. It does not wait for a connection.
func Open(access provision.Access) (*Client, error) {
	config, err := RESTConfig(access)
	if err != nil {
		return nil, err
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Kubernetes API: %w", err)
	}
	set, err := kubernetes.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Kubernetes API: %w", err)
	}
	return &Client{set: set, close: httpClient.CloseIdleConnections}, nil
}

// RESTConfig is the way to the cluster's Kubernetes API as administrator.
func RESTConfig(access provision.Access) (*rest.Config, error) {
	secrets, err := machineconfig.ParseSecrets(access.Secrets)
	if err != nil {
		return nil, err
	}
	data, err := secrets.Kubeconfig(access.Cluster.Name, "https://"+access.KubernetesAPI.String())
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the kubeconfig: %w", err)
	}
	// Negative: no throttling on our side, which would delay the next question by seconds.
	config.QPS = -1
	config.Timeout = questionTimeout
	return config, nil
}

// Close ends the connections.
func (c *Client) Close() error {
	c.close()
	return nil
}

// APIServes asks /readyz.
func (c *Client) APIServes(ctx context.Context) (string, error) {
	_, err := c.set.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return explain(err)
}

// NodesReady asks whether all the named nodes have joined and are Ready.
func (c *Client) NodesReady(ctx context.Context, names []string) (string, error) {
	list, err := c.set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return explain(err)
	}
	found := map[string]corev1.Node{}
	for _, node := range list.Items {
		found[node.Name] = node
	}
	return whyNotReady(found, names), nil
}

// DeploymentAvailable asks whether a Deployment calls itself Available.
func (c *Client) DeploymentAvailable(ctx context.Context, namespace, name string) (string, error) {
	deployment, err := c.set.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return fmt.Sprintf("deployment %s/%s is not made yet", namespace, name), nil
	}
	if err != nil {
		return explain(err)
	}
	return whyNotAvailable(deployment), nil
}
