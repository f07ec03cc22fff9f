package resources

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cosi-project/runtime/pkg/safe"
	"github.com/siderolabs/talos/pkg/machinery/resources/k8s"
	"github.com/siderolabs/talos/pkg/machinery/resources/runtime"

	"github.com/bronze-os/bronze/images/boot"
)

const (
	// The kubelet is asked often until all static pods are ready, then rarely, to keep an idle node idle.
	podsEager  = time.Second
	podsSteady = 10 * time.Second
	// askLimit bounds one question to the kubelet.
	askLimit = 5 * time.Second
	// answerLimit bounds the kubelet's answer, in bytes.
	answerLimit = 16 << 20
)

// Kubelet tells how to ask the node's kubelet for its pods.
type Kubelet struct {
	// Cert and Key are paths of PEM files of a client that the kubelet lets read its pods. They may come into being
	// after the start.
	Cert, Key string
	// URL is where the kubelet serves; empty means its usual port on loopback.
	URL string
	// Expected names the static pods that the node should run now, without the node's name.
	Expected func() []string
}

// publishStaticPods follows the static pods of a control plane, the only pods that the node itself answers for.
func publishStaticPods(ctx context.Context, opts Options) error {
	client := &http.Client{Timeout: askLimit}
	defer client.CloseIdleConnections()

	ticker := time.NewTicker(podsEager)
	defer ticker.Stop()

	for {
		pause := podsEager

		pods, err := opts.Kubelet.ask(ctx, client)
		if err != nil {
			opts.Log.DebugContext(ctx, "no static pods yet", "error", err)
		} else {
			if err := publishPods(ctx, opts, pods); err != nil {
				return fmt.Errorf("publishing static pods: %w", err)
			}

			if allReady(pods, opts.Kubelet.Expected()) {
				pause = podsSteady
			}
		}

		ticker.Reset(pause)

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// ask answers the kubelet's static pods.
func (k *Kubelet) ask(ctx context.Context, client *http.Client) ([]pod, error) {
	if client.Transport == nil {
		cert, err := tls.LoadX509KeyPair(k.Cert, k.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot read the kubelet's client certificate: %w", err)
		}

		client.Transport = kubeletTransport(cert)
	}

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url()+"/pods", nil)
	if err != nil {
		return nil, err
	}

	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("cannot ask the kubelet: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("cannot ask the kubelet: %s", response.Status)
	}

	return staticPods(io.LimitReader(response.Body, answerLimit))
}

func (k *Kubelet) url() string {
	if k.URL != "" {
		return k.URL
	}

	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(boot.KubeletPort))
}

// kubeletTransport does not check the kubelet's certificate: it signs that itself, and only the node's own kubelet can
// listen on its loopback port.
func kubeletTransport(cert tls.Certificate) *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{cert},
		InsecureSkipVerify: true,
	}}
}

// pod is a pod as the kubelet tells it.
type pod struct {
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Status map[string]any `json:"status"`
}

func (p pod) id() string { return p.Metadata.Namespace + "/" + p.Metadata.Name }

// configSource is the annotation that tells where the kubelet has a pod from; only apiserver's are not static.
const configSource = "kubernetes.io/config.source"

// staticPods picks the static ones out of the kubelet's list.
func staticPods(list io.Reader) ([]pod, error) {
	var answer struct {
		Items []pod `json:"items"`
	}

	if err := json.NewDecoder(list).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read the kubelet's pods: %w", err)
	}

	return slices.DeleteFunc(answer.Items, func(p pod) bool {
		source := p.Metadata.Annotations[configSource]
		return source == "" || source == "api"
	}), nil
}

func publishPods(ctx context.Context, opts Options, pods []pod) error {
	var ids []string

	for _, p := range pods {
		ids = append(ids, p.id())

		err := safe.StateModify(ctx, opts.State, k8s.NewStaticPodStatus(k8s.NamespaceName, p.id()),
			func(r *k8s.StaticPodStatus) error {
				if !reflect.DeepEqual(r.TypedSpec().PodStatus, p.Status) {
					r.TypedSpec().PodStatus = p.Status
				}

				return nil
			})
		if err != nil {
			return err
		}
	}

	return remove(ctx, opts.State, k8s.NewStaticPodStatus(k8s.NamespaceName, "").Metadata(), ids)
}

func allReady(pods []pod, expected []string) bool {
	return len(pods) >= len(expected) && !slices.ContainsFunc(pods, func(p pod) bool { return !ready(p.Status) })
}

// ready reads the condition Ready of a pod's status.
func ready(status map[string]any) bool {
	conditions, _ := status["conditions"].([]any)

	return slices.ContainsFunc(conditions, func(condition any) bool {
		fields, _ := condition.(map[string]any)
		return fields["type"] == "Ready" && fields["status"] == "True"
	})
}

// unmetPods says which static pods are missing or not ready.
func unmetPods(pods []*k8s.StaticPodStatus, expected []string) []runtime.UnmetCondition {
	var unready []string

	for _, name := range expected {
		if !slices.ContainsFunc(pods, func(p *k8s.StaticPodStatus) bool {
			return strings.Contains(p.Metadata().ID(), "/"+name) && ready(p.TypedSpec().PodStatus)
		}) {
			unready = append(unready, name)
		}
	}

	if len(unready) == 0 {
		return nil
	}

	return []runtime.UnmetCondition{{Name: "staticPods", Reason: "not ready: " + strings.Join(unready, ", ")}}
}
