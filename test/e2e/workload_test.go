//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/bronze-os/bronze/test/lab"
)

// testWorkload runs examples/web.yaml and reaches it in every way that Kubernetes offers.
func (r running) testWorkload(t *testing.T) {
	run(t, r.Kubectl(t.Context(), "apply", "-f", "examples/web.yaml"))

	pods := r.webPods(t)

	var service corev1.Service
	get(t, r.Lab, &service, "service", "web")

	t.Run("on both nodes", func(t *testing.T) {
		if pods[0].Spec.NodeName == pods[1].Spec.NodeName {
			t.Errorf("both replicas are on %s", pods[0].Spec.NodeName)
		}
	})
	t.Run("services", func(t *testing.T) { r.testServices(t, pods, service) })
	t.Run("names", func(t *testing.T) { r.testNames(t, pods, service.Spec.ClusterIP) })
	t.Run("logs", func(t *testing.T) { r.testLogs(t, pods) })
	t.Run("port-forward", func(t *testing.T) { r.testPortForward(t, pods[1]) })
	t.Run("exposed port", func(t *testing.T) { r.testExposedPort(t, pods) })
}

func (r running) webPods(t *testing.T) (pods []corev1.Pod) {
	t.Helper()

	until(t, func(ctx context.Context) (err error) {
		pods, err = r.pods(ctx, "--selector", "app=web")
		if err == nil && len(pods) != 2 {
			err = fmt.Errorf("there are %d replicas", len(pods))
		}

		return errors.Join(err, allReady(pods))
	})

	return pods
}

// testServices reaches each pod itself, the cluster IP and the node port of each node from a pod on each node, which
// crosses nodes at least once in each of them. It shows exec along the way.
func (r running) testServices(t *testing.T, pods []corev1.Pod, service corev1.Service) {
	urls := []string{"http://" + service.Spec.ClusterIP}
	for _, pod := range pods {
		urls = append(urls, "http://"+pod.Status.PodIP+":8080")
	}

	for _, address := range r.addresses() {
		urls = append(urls, fmt.Sprintf("http://%s:%d", address, service.Spec.Ports[0].NodePort))
	}

	for _, pod := range pods {
		for _, url := range urls {
			t.Run(url+" from "+pod.Spec.NodeName, func(t *testing.T) {
				until(t, func(ctx context.Context) error {
					body, err := r.exec(ctx, pod, "probe", "fetch", url)

					return errors.Join(err, servedByOneOf(pods, body))
				})
			})
		}
	}
}

// servedByOneOf wants the answer of probe serve, which begins with the name of its pod.
func servedByOneOf(pods []corev1.Pod, body string) error {
	name, _, _ := strings.Cut(body, " ")
	if slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.Name == name }) {
		return nil
	}

	return fmt.Errorf("no replica has the name that %q begins with", body)
}

func (r running) exec(ctx context.Context, pod corev1.Pod, command ...string) (string, error) {
	return lab.Output(r.Kubectl(ctx, append([]string{"exec", pod.Name, "--"}, command...)...))
}

func (r running) testNames(t *testing.T, pods []corev1.Pod, clusterIP string) {
	for _, pod := range pods {
		for _, name := range []string{"web", "web.default.svc.cluster.local"} {
			if got, err := r.exec(t.Context(), pod, "probe", "resolve", name); err != nil || got != clusterIP {
				t.Errorf("%s resolves from %s to %q (%v), want %s", name, pod.Spec.NodeName, got, err, clusterIP)
			}
		}
	}
}

func (r running) testLogs(t *testing.T, pods []corev1.Pod) {
	for _, pod := range pods {
		if got := run(t, r.Kubectl(t.Context(), "logs", pod.Name)); !strings.HasPrefix(got, "serving on ") {
			t.Errorf("the log of the pod on %s is %q", pod.Spec.NodeName, got)
		}
	}
}

// testPortForward reads the port that kubectl chose from the line in which it says so.
func (r running) testPortForward(t *testing.T, pod corev1.Pod) {
	ctx, cancel := context.WithCancel(t.Context())
	forward := r.Kubectl(ctx, "port-forward", "pod/"+pod.Name, ":8080")
	forward.Stderr = os.Stderr

	stdout, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}

	// Wait answers that the process was killed, which is what cancel does.
	defer func() { cancel(); _ = forward.Wait() }()

	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("kubectl port-forward ended after %q: %v", line, err)
	}

	address, _, _ := strings.Cut(strings.TrimPrefix(line, "Forwarding from "), " ")

	body, err := fetch(ctx, "http://"+address)
	if err != nil || servedByOneOf([]corev1.Pod{pod}, body) != nil {
		t.Errorf("through %q came %q (%v), want the pod %s", line, body, err, pod.Name)
	}
}

// testExposedPort reaches the node port through the port of the host that --exposed-ports asked for.
func (r running) testExposedPort(t *testing.T, pods []corev1.Pod) {
	address, err := lab.Docker(t.Context(), "port", r.nodes[0].Name, "30080/tcp")
	if err != nil {
		t.Fatal(err)
	}

	body, err := fetch(t.Context(), "http://"+address[0])
	if err := errors.Join(err, servedByOneOf(pods, body)); err != nil {
		t.Errorf("through the host's %s: %v", address[0], err)
	}
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)

	return string(body), err
}
