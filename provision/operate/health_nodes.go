package operate

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"

	"github.com/bronze-os/bronze/provision"
)

// healthCheck knows whom to ask about a cluster's health.
type healthCheck struct {
	controlPlanes, all *Fleet
	kubernetes         *kubernetesCheck
}

// conditions are what talosctl waits for, by its names and in its order.
func (h healthCheck) conditions() []provision.Condition {
	k := h.kubernetes
	return []provision.Condition{
		{Name: "etcd to be healthy", Check: serviceHealthy(h.controlPlanes, "etcd")},
		{Name: "etcd members to be consistent across nodes", Check: h.etcdConsistent},
		{Name: "etcd members to be control plane nodes", Check: h.etcdOnControlPlanes},
		{Name: "apid to be ready", Check: h.answers},
		{Name: "all nodes memory sizes", Check: h.memory},
		{Name: "all nodes disk sizes", Check: h.disks},
		{Name: "no diagnostics", Check: h.diagnostics},
		{Name: "kubelet to be healthy", Check: serviceHealthy(h.all, "kubelet")},
		{Name: "all nodes to finish boot sequence", Check: h.booted},
		{Name: "all k8s nodes to report", Check: k.nodes(whyNotReported)},
		{Name: "all control plane static pods to be running", Check: h.staticPods},
		{Name: "all control plane components to be ready", Check: k.components},
		{Name: "all k8s nodes to report ready", Check: k.nodes(whyNotReady)},
		{Name: "kube-proxy to report ready", Check: k.kubeProxy},
		{Name: "coredns to report ready", Check: k.coreDNS},
		{Name: "all k8s nodes to report schedulable", Check: k.nodes(whyNotSchedulable)},
	}
}

func serviceHealthy(f *Fleet, id string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		found, err := f.Service(ctx, id)
		return whyNotHealthy(found), err
	}
}

// whyNotHealthy names the first service that does not run or is not healthy.
func whyNotHealthy(services []Service) string {
	for _, service := range services {
		info := service.Message
		health := info.GetHealth()
		if info.GetState() != "Running" {
			return fmt.Sprintf("node %s: %s is %s", service.Node, info.GetId(), info.GetState())
		}
		if !health.GetUnknown() && !health.GetHealthy() {
			return strings.TrimSpace(fmt.Sprintf("node %s: %s is not healthy %s", service.Node, info.GetId(), health.GetLastMessage()))
		}
	}
	return ""
}

func (h healthCheck) etcdConsistent(ctx context.Context) (string, error) {
	members, err := h.controlPlanes.EtcdMembers(ctx)
	return whyInconsistent(members), err
}

// whyInconsistent names the first node that sees other members than the node before it.
func whyInconsistent(answers []Answer[*machine.EtcdMembers]) string {
	var before []uint64
	for i, answer := range answers {
		var ids []uint64
		for _, member := range answer.Message.GetMembers() {
			ids = append(ids, member.GetId())
		}
		slices.Sort(ids)
		if i > 0 && !slices.Equal(before, ids) {
			return fmt.Sprintf("node %s sees %d members, others than node %s does", answer.Node, len(ids), answers[i-1].Node)
		}
		before = ids
	}
	return ""
}

func (h healthCheck) etcdOnControlPlanes(ctx context.Context) (string, error) {
	answers, err := h.controlPlanes.EtcdMembers(ctx)
	if err != nil || len(answers) == 0 {
		return "no node lists members", err
	}
	return whyNotControlPlanes(answers[0].Message.GetMembers(), h.controlPlanes.Nodes()), nil
}

// whyNotControlPlanes compares the addresses of etcd's members with those of the control planes.
func whyNotControlPlanes(members []*machine.EtcdMember, controlPlanes []string) string {
	if len(members) != len(controlPlanes) {
		return fmt.Sprintf("etcd has %d members, the cluster %d control planes", len(members), len(controlPlanes))
	}
	for _, member := range members {
		if !slices.ContainsFunc(member.GetPeerUrls(), func(text string) bool {
			peer, err := url.Parse(text)
			return err == nil && slices.Contains(controlPlanes, peer.Hostname())
		}) {
			return fmt.Sprintf("etcd's member %s is none of the control planes", member.GetHostname())
		}
	}
	return ""
}

func (h healthCheck) answers(ctx context.Context) (string, error) {
	_, err := h.all.Versions(ctx)
	return "", err
}

func (h healthCheck) diagnostics(ctx context.Context) (string, error) {
	var first string
	err := h.all.Resources(ctx, ResourceQuery{Type: "Diagnostics.runtime.talos.dev"}, func(r Resource) error {
		var spec struct {
			Message string `yaml:"message"`
		}
		if err := r.decode(&spec); err != nil || first != "" {
			return err
		}
		first = fmt.Sprintf("node %s: %s", r.Node, spec.Message)
		return nil
	})
	return first, err
}

func (h healthCheck) booted(ctx context.Context) (string, error) {
	stages := make([]string, len(h.all.nodes))
	err := h.all.each(ctx, func(ctx context.Context, i int, n node) error {
		_, stage, err := n.boot(ctx)
		stages[i] = stage
		return err
	})
	for i, stage := range stages {
		if err == nil && stage != "running" {
			return fmt.Sprintf("node %s is %s", h.all.nodes[i].name, stage), nil
		}
	}
	return "", err
}
