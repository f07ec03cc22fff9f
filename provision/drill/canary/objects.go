package canary

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	// name is the StatefulSet's; its pods are canary-0 and so on.
	name = "canary"
	port = 8080
	// hostDir is where the volumes are on the nodes, on what keeps a node's data.
	hostDir = "/var/lib/bronze-drill"
	dataDir = "/data"
)

func labels() map[string]string { return map[string]string{"app": "bronze-drill"} }

func podName(i int) string { return fmt.Sprintf("%s-%d", name, i) }

func claimName(i int) string { return "data-" + podName(i) }

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels()}}
}

// volume is a directory of the node, and meant for the claim of the pod with that ordinal in that namespace. Volumes of
// different nodes and namespaces have different names and directories.
func volume(i int, node, space string) *corev1.PersistentVolume {
	directory := corev1.HostPathDirectoryOrCreate
	own := fmt.Sprintf("%s-%s-%s", space, podName(i), node)
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: own, Labels: labels()},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef:                      &corev1.ObjectReference{Namespace: space, Name: claimName(i)},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				HostPath: &corev1.HostPathVolumeSource{Path: hostDir + "/" + own, Type: &directory},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}},
			}}}},
		},
	}
}

// statefulSet makes so many pods at once: one that waits for its volume must not keep the others from starting.
func statefulSet(pods int, image string) *appsv1.StatefulSet {
	replicas, grace, class := int32(pods), int64(1), ""
	healthz := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(port)}}
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels()},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, PodManagementPolicy: appsv1.ParallelPodManagement,
			Selector: &metav1.LabelSelector{MatchLabels: labels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels()},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: &grace,
					Containers: []corev1.Container{{
						Name: name, Image: image, ImagePullPolicy: corev1.PullNever,
						Command:        []string{"probe", "serve", "--port", fmt.Sprint(port), "--dir", dataDir},
						VolumeMounts:   []corev1.VolumeMount{{Name: "data", MountPath: dataDir}},
						ReadinessProbe: &corev1.Probe{ProbeHandler: healthz, PeriodSeconds: 1},
					}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data", Labels: labels()},
				Spec: corev1.PersistentVolumeClaimSpec{
					StorageClassName: &class, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources: corev1.VolumeResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")},
					},
				},
			}},
		},
	}
}
