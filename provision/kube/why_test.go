package kube

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

func node(status corev1.ConditionStatus, message string) corev1.Node {
	conditions := []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse},
		{Type: corev1.NodeReady, Status: status, Message: message},
	}
	return corev1.Node{Status: corev1.NodeStatus{Conditions: conditions}}
}

func TestNodesThatAreNotReadySayWhy(t *testing.T) {
	ready := node(corev1.ConditionTrue, "kubelet is posting ready status")
	waits := node(corev1.ConditionFalse, "no CNI plugin\nand much more")
	cases := map[string]struct {
		found map[string]corev1.Node
		names []string
		want  string
	}{
		"all ready":         {map[string]corev1.Node{"a": ready}, []string{"a"}, ""},
		"one more than all": {map[string]corev1.Node{"a": ready, "b": waits}, []string{"a"}, ""},
		"not joined":        {nil, []string{"a"}, "a has not joined"},
		"not ready":         {map[string]corev1.Node{"a": waits}, []string{"a"}, "a: no CNI plugin"},
		"silent":            {map[string]corev1.Node{"a": {}}, []string{"a"}, "a: the kubelet has not reported"},
		"many":              {nil, []string{"a", "b", "c", "d"}, "a has not joined; b has not joined; 2 more"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, whyNotReady(test.found, test.names)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDeploymentIsAvailableByItsCondition(t *testing.T) {
	deployment := func(available int32, observed int64, condition corev1.ConditionStatus) *appsv1.Deployment {
		want := int32(2)
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "coredns", Generation: 2},
			Spec:       appsv1.DeploymentSpec{Replicas: &want},
			Status: appsv1.DeploymentStatus{
				AvailableReplicas: available, ObservedGeneration: observed,
				Conditions: []appsv1.DeploymentCondition{{Type: appsv1.DeploymentAvailable, Status: condition}},
			},
		}
	}
	cases := map[string]struct {
		deployment *appsv1.Deployment
		want       string
	}{
		"all":                 {deployment(2, 2, corev1.ConditionTrue), ""},
		"as many as promised": {deployment(1, 2, corev1.ConditionTrue), ""},
		"too few":             {deployment(0, 2, corev1.ConditionFalse), "0 of 2 replicas of coredns are available"},
		"status is outdated":  {deployment(2, 1, corev1.ConditionTrue), "2 of 2 replicas of coredns are available, of an older version"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, whyNotAvailable(test.deployment)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestErrorsAreReasonsToWaitUnlessHopeless(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://127.0.0.1/readyz", Err: fmt.Errorf("dial: %w", syscall.ECONNREFUSED)}
	cases := map[string]struct {
		err  error
		why  string
		hope bool
	}{
		"none":         {nil, "", true},
		"refused":      {refused, "the API server does not answer yet: connection refused", true},
		"forbidden":    {apierrors.NewForbidden(schema.GroupResource{}, "", nil), "the API server has no roles yet", true},
		"not ready":    {apierrors.NewInternalError(errors.New("[+]ping ok\n[-]etcd failed: reason withheld")), "the API server starts: etcd", true},
		"unauthorized": {apierrors.NewUnauthorized("no"), "", false},
		"other's cert": {errors.New("tls: failed to verify certificate: x509"), "", false},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			why, err := explain(test.err)
			if why != test.why || errors.Is(err, provision.ErrHopeless) == test.hope {
				t.Errorf("why %q, error %v", why, err)
			}
		})
	}
}

func TestServerOfAnotherClusterIsHopeless(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	client := open(t, server.Listener.Addr().String())
	if _, err := client.APIServes(t.Context()); !errors.Is(err, provision.ErrHopeless) {
		t.Errorf("error %v, want one that says waiting is useless", err)
	}
}

func TestNobodyListeningIsAReasonToWait(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.Listener.Addr().String()
	server.Close()
	why, err := open(t, address).NodesReady(t.Context(), []string{"a"})
	if err != nil || !strings.Contains(why, "does not answer yet") {
		t.Errorf("why %q, error %v", why, err)
	}
}

func open(t *testing.T, address string) *Client {
	t.Helper()
	cluster := provision.Cluster{Name: "town"}
	secrets, err := machineconfig.Generator{}.NewSecrets(cluster)
	if err != nil {
		t.Fatal(err)
	}
	client, err := Open(provision.Access{
		Cluster: cluster, Secrets: secrets, KubernetesAPI: netip.MustParseAddrPort(address),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
