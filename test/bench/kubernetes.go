package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bronze-os/bronze/test/lab"
)

// settle bounds the wait for a cluster whose create has returned already; create that returns too early shows as the
// distance of Seen from Create.
const settle = 2 * time.Minute

// checkUp waits until so many nodes are there, all are Ready and CoreDNS is Available.
func checkUp(ctx context.Context, l lab.Lab, nodes int) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()

	clients, err := connect(l)
	if err != nil {
		return err
	}

	return lab.Until(ctx, func(ctx context.Context) error {
		all, err := clients.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}

		dns, err := clients.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
		if err != nil {
			return err
		}

		return judge(all.Items, *dns, nodes)
	})
}

func connect(l lab.Lab) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, err
	}

	return kubernetes.NewForConfig(config)
}

// checkFull waits until CoreDNS has all its replicas.
func checkFull(ctx context.Context, l lab.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()

	clients, err := connect(l)
	if err != nil {
		return err
	}

	return lab.Until(ctx, func(ctx context.Context) error {
		dns, err := clients.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, "coredns", metav1.GetOptions{})
		if err == nil && dns.Status.AvailableReplicas < dns.Status.Replicas {
			err = fmt.Errorf("%d of %d replicas of CoreDNS are available", dns.Status.AvailableReplicas, dns.Status.Replicas)
		}

		return err
	})
}

// judge tells what is missing for a cluster to be up.
func judge(all []corev1.Node, dns appsv1.Deployment, nodes int) error {
	ready := 0

	for _, node := range all {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}

	if ready != nodes {
		return fmt.Errorf("%d of %d nodes are Ready", ready, nodes)
	}

	for _, condition := range dns.Status.Conditions {
		if condition.Type == appsv1.DeploymentAvailable && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}

	return fmt.Errorf("CoreDNS is not Available")
}
