package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/bronze-os/bronze/provision"
)

// explain tells why a request that did not succeed may do so later; an error is for what waiting cannot mend.
func explain(err error) (string, error) {
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, context.Canceled):
		return "", err
	case apierrors.IsUnauthorized(err), strings.Contains(err.Error(), "failed to verify certificate"):
		return "", fmt.Errorf("kubernetes API: %w: %w", err, provision.ErrHopeless)
	case apierrors.IsForbidden(err):
		// Until the API server has seeded its roles even an administrator may do nothing.
		return "the API server has no roles yet", nil
	case apierrors.IsInternalError(err):
		return "the API server starts" + pending(err.Error()), nil
	default:
		return "the API server does not answer yet: " + lastCause(err), nil
	}
}

// pending names the first of the checks that /readyz lists as failed.
func pending(answer string) string {
	_, rest, found := strings.Cut(answer, "[-]")
	if !found {
		return ""
	}
	check, _, _ := strings.Cut(rest, " ")
	return ": " + check
}

// lastCause is the innermost of nested descriptions, such as "connection refused".
func lastCause(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// whyNotReady names the first of the wanted nodes that is not Ready, its reason, and how many there are of them.
func whyNotReady(found map[string]corev1.Node, names []string) string {
	var waiting []string
	for _, name := range names {
		node, joined := found[name]
		if !joined {
			waiting = append(waiting, name+" has not joined")
			continue
		}
		if why := whyNodeNotReady(node); why != "" {
			waiting = append(waiting, name+": "+why)
		}
	}
	const shown = 2
	if len(waiting) > shown {
		waiting = append(waiting[:shown], fmt.Sprintf("%d more", len(waiting)-shown))
	}
	return strings.Join(waiting, "; ")
}

func whyNodeNotReady(node corev1.Node) string {
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return ""
		}
		return firstLine(condition.Message)
	}
	return "the kubelet has not reported"
}

// firstLine shortens a condition's message, which may go on for paragraphs, to what fits on a line.
func firstLine(message string) string {
	const limit = 100
	message, _, _ = strings.Cut(message, "\n")
	if len(message) > limit {
		message = message[:limit] + "..."
	}
	return message
}

// whyNotAvailable goes by the Deployment's own condition: as many replicas serve as its strategy promises, which during
// a start may be one fewer than all.
func whyNotAvailable(deployment *appsv1.Deployment) string {
	want := int32(1)
	if deployment.Spec.Replicas != nil {
		want = *deployment.Spec.Replicas
	}
	status := deployment.Status
	why := fmt.Sprintf("%d of %d replicas of %s are available", status.AvailableReplicas, want, deployment.Name)
	available := slices.ContainsFunc(status.Conditions, func(condition appsv1.DeploymentCondition) bool {
		return condition.Type == appsv1.DeploymentAvailable && condition.Status == corev1.ConditionTrue
	})
	switch {
	case !available:
		return why
	case status.ObservedGeneration < deployment.Generation:
		return why + ", of an older version"
	default:
		return ""
	}
}
