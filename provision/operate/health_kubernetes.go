package operate

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
	"k8s.io/client-go/tools/clientcmd"
)

// kubernetesPatience bounds one question to Kubernetes.
const kubernetesPatience = 5 * time.Second

// controlPlanePods are the static pods that every control plane runs, by their label k8s-app.
func controlPlanePods() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
}

// kubernetesCheck asks Kubernetes, as the administrator that the control planes make a kubeconfig for.
type kubernetesCheck struct {
	fleet    *Fleet
	roster   roster
	endpoint string

	set       *kubernetes.Clientset
	closeIdle func()
}

func (k *kubernetesCheck) close() {
	if k.closeIdle != nil {
		k.closeIdle()
	}
}

// client is made once a control plane hands out a kubeconfig.
func (k *kubernetesCheck) client(ctx context.Context) (*kubernetes.Clientset, error) {
	if k.set != nil {
		return k.set, nil
	}
	config, err := k.fleet.restConfig(ctx, k.endpoint)
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
	k.set, k.closeIdle = set, httpClient.CloseIdleConnections
	return set, nil
}

// restConfig asks the nodes one after the other for a kubeconfig, until one has it. An endpoint takes the place of the
// kubeconfig's server.
func (f *Fleet) restConfig(ctx context.Context, endpoint string) (*rest.Config, error) {
	var errs []error
	for _, n := range f.nodes {
		data, err := n.client.Kubeconfig(n.to(ctx))
		if err != nil {
			errs = append(errs, fmt.Errorf("node %s: cannot get a kubeconfig: %w", n.name, explain(err)))
			continue
		}
		config, err := clientcmd.RESTConfigFromKubeConfig(data)
		if err != nil {
			return nil, fmt.Errorf("cannot parse the kubeconfig of node %s: %w", n.name, err)
		}
		if endpoint != "" {
			config.Host = endpoint
		}
		// Negative: no throttling on our side.
		config.QPS, config.Timeout = -1, kubernetesPatience
		return config, nil
	}
	return nil, errors.Join(errs...)
}

// nodes checks the cluster's Kubernetes nodes with a pure function.
func (k *kubernetesCheck) nodes(why func([]corev1.Node, roster) string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		set, err := k.client(ctx)
		if err != nil {
			return "", err
		}
		list, err := set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", err
		}
		return why(list.Items, k.roster), nil
	}
}

// whyNotReported names the first address that no node has.
func whyNotReported(nodes []corev1.Node, expected roster) string {
	for _, address := range slices.Concat(expected.controlPlanes, expected.workers) {
		if !slices.ContainsFunc(nodes, func(node corev1.Node) bool { return hasAddress(node, address) }) {
			return "node " + address + " has not joined Kubernetes"
		}
	}
	return ""
}

func hasAddress(node corev1.Node, address string) bool {
	return slices.ContainsFunc(node.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Address == address })
}

// whyNotReady names the first node that is not Ready, with its reason.
func whyNotReady(nodes []corev1.Node, _ roster) string {
	for _, node := range nodes {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
				message, _, _ := strings.Cut(condition.Message, "\n")
				return node.Name + " is not ready: " + message
			}
		}
	}
	return ""
}

// whyNotSchedulable names the first node that is cordoned.
func whyNotSchedulable(nodes []corev1.Node, _ roster) string {
	for _, node := range nodes {
		if node.Spec.Unschedulable {
			return node.Name + " is cordoned"
		}
	}
	return ""
}

// components checks that each control plane has its three pods ready, as Kubernetes sees it.
func (k *kubernetesCheck) components(ctx context.Context) (string, error) {
	for _, name := range controlPlanePods() {
		if why, err := k.podsReady(ctx, "k8s-app="+name, len(k.roster.controlPlanes)); why != "" || err != nil {
			return why, err
		}
	}
	return "", nil
}

func (k *kubernetesCheck) kubeProxy(ctx context.Context) (string, error) {
	set, err := k.client(ctx)
	if err != nil {
		return "", err
	}
	daemons, err := set.AppsV1().DaemonSets(metav1.NamespaceSystem).Get(ctx, "kube-proxy", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		// It is disabled in the machine config.
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return k.podsReady(ctx, "k8s-app=kube-proxy", int(daemons.Status.DesiredNumberScheduled))
}

func (k *kubernetesCheck) coreDNS(ctx context.Context) (string, error) {
	set, err := k.client(ctx)
	if err != nil {
		return "", err
	}
	deployment, err := set.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	replicas := 1
	if deployment.Spec.Replicas != nil {
		replicas = int(*deployment.Spec.Replicas)
	}
	return k.podsReady(ctx, "k8s-app=kube-dns", replicas)
}

func (k *kubernetesCheck) podsReady(ctx context.Context, selector string, want int) (string, error) {
	set, err := k.client(ctx)
	if err != nil {
		return "", err
	}
	list, err := set.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return "", err
	}
	return whyPodsNotReady(list.Items, selector, want), nil
}

// whyPodsNotReady counts the pods that are ready; those that are going count as none.
func whyPodsNotReady(pods []corev1.Pod, selector string, want int) string {
	ready := 0
	for _, pod := range pods {
		isReady := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if isReady && pod.DeletionTimestamp == nil {
			ready++
		}
	}
	if ready >= want {
		return ""
	}
	return fmt.Sprintf("%d of %d pods with %s are ready", ready, want, selector)
}

// staticPods checks the kubelet's own view, on each control plane.
func (h healthCheck) staticPods(ctx context.Context) (string, error) {
	running := map[string][]string{}
	err := h.controlPlanes.Resources(ctx, ResourceQuery{Type: "StaticPodStatuses.kubernetes.talos.dev"}, func(r Resource) error {
		var status corev1.PodStatus
		if err := r.decodeJSON(&status); err != nil {
			return err
		}
		if status.Phase == corev1.PodRunning {
			running[r.Node] = append(running[r.Node], r.Resource.Metadata().ID())
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return whyNotRunning(running, h.controlPlanes.Nodes()), nil
}

// whyNotRunning looks for each control plane's three pods among the IDs of those that run, such as
// kube-system/kube-apiserver-dev-controlplane-1.
func whyNotRunning(running map[string][]string, controlPlanes []string) string {
	for _, node := range controlPlanes {
		for _, name := range controlPlanePods() {
			if !slices.ContainsFunc(running[node], func(id string) bool { return strings.Contains(id, "/"+name) }) {
				return fmt.Sprintf("node %s: %s does not run", node, name)
			}
		}
	}
	return ""
}
