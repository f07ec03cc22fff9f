package kube

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// fakeCluster is a client of a cluster in memory that keeps the preconditions of deletions and selects pods by their
// node, as an API server does and the plain fake does not.
func fakeCluster(objects ...runtime.Object) (*Client, *fake.Clientset) {
	set := fake.NewClientset(objects...)
	set.PrependReactor("delete", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		asked := action.(clienttesting.DeleteActionImpl)
		found, err := set.Tracker().Get(asked.GetResource(), asked.GetNamespace(), asked.GetName())
		if err != nil {
			return true, nil, err
		}
		object, err := meta.Accessor(found)
		if wanted := asked.GetDeleteOptions().Preconditions; err == nil && wanted != nil && *wanted.UID != object.GetUID() {
			err = apierrors.NewConflict(asked.GetResource().GroupResource(), asked.GetName(), errors.New("another UID"))
		}
		return err != nil, nil, err
	})
	set.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		asked := action.(clienttesting.ListActionImpl)
		found, err := set.Tracker().List(asked.GetResource(), asked.GetKind(), asked.GetNamespace())
		if err != nil {
			return true, nil, err
		}
		pods := found.(*corev1.PodList)
		pods.Items = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
			return !asked.GetListRestrictions().Fields.Matches(fields.Set{"spec.nodeName": pod.Spec.NodeName})
		})
		return true, pods, nil
	})
	return &Client{set: set, close: func() {}}, set
}

func namedNode(name, uid string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
}

func podOn(node, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name)},
		Spec:       corev1.PodSpec{NodeName: node},
	}
}

func leaseOf(node, uid string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Name: node, Namespace: corev1.NamespaceNodeLease, UID: types.UID("lease-" + uid),
		OwnerReferences: []metav1.OwnerReference{{Kind: "Node", Name: node, UID: types.UID(uid)}},
	}}
}

func attachmentTo(node, name string) *storagev1.VolumeAttachment {
	return &storagev1.VolumeAttachment{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)},
		Spec:       storagev1.VolumeAttachmentSpec{NodeName: node},
	}
}

// town is a cluster of the nodes a and b, each with a lease, two pods and an attached volume.
func town() []runtime.Object {
	var objects []runtime.Object
	for _, node := range []string{"a", "b"} {
		objects = append(objects,
			namedNode(node, "uid-"+node), leaseOf(node, "uid-"+node),
			podOn(node, "db-"+node), podOn(node, "web-"+node), attachmentTo(node, "disk-"+node))
	}
	return objects
}

// left lists what there is in a cluster, and which nodes are out of service.
func left(t *testing.T, set *fake.Clientset) []string {
	t.Helper()
	ctx, all, names := t.Context(), metav1.ListOptions{}, []string{}
	nodes, err := set.CoreV1().Nodes().List(ctx, all)
	for _, node := range nodes.Items {
		names = append(names, "node "+node.Name)
		if outOfService(node) {
			names = append(names, "out of service "+node.Name)
		}
	}
	leases, err2 := set.CoordinationV1().Leases(corev1.NamespaceNodeLease).List(ctx, all)
	for _, lease := range leases.Items {
		names = append(names, "lease "+lease.Name)
	}
	pods, err3 := set.CoreV1().Pods("").List(ctx, all)
	for _, pod := range pods.Items {
		names = append(names, "pod "+pod.Name)
	}
	attachments, err4 := set.StorageV1().VolumeAttachments().List(ctx, all)
	for _, attachment := range attachments.Items {
		names = append(names, "volume "+attachment.Name)
	}
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func TestANodeIsReleasedAndDeletedByItsUIDAlone(t *testing.T) {
	whole := []string{"lease a", "lease b", "node a", "node b", "pod db-a", "pod db-b", "pod web-a", "pod web-b", "volume disk-a", "volume disk-b"}
	rest := []string{"lease b", "node b", "pod db-b", "pod web-b", "volume disk-b"}
	released := []string{"lease a", "lease b", "node a", "node b", "out of service a", "pod db-b", "pod web-b", "volume disk-b"}
	type act = func(*Client, context.Context, string, string) error
	for name, test := range map[string]struct {
		acts      []act
		node, uid string
		want      []string
	}{
		"deleted":                          {[]act{(*Client).DeleteNode}, "a", "uid-a", rest},
		"deleted twice":                    {[]act{(*Client).DeleteNode, (*Client).DeleteNode}, "a", "uid-a", rest},
		"released":                         {[]act{(*Client).OutOfService}, "a", "uid-a", released},
		"released twice":                   {[]act{(*Client).OutOfService, (*Client).OutOfService}, "a", "uid-a", released},
		"released, then deleted":           {[]act{(*Client).OutOfService, (*Client).DeleteNode}, "a", "uid-a", rest},
		"deleted, then released":           {[]act{(*Client).DeleteNode, (*Client).OutOfService}, "a", "uid-a", rest},
		"another by now is not deleted":    {[]act{(*Client).DeleteNode}, "a", "uid-old", whole},
		"another by now is not released":   {[]act{(*Client).OutOfService}, "a", "uid-old", whole},
		"no UID means no node":             {[]act{(*Client).DeleteNode, (*Client).OutOfService}, "a", "", whole},
		"one that is gone is left at that": {[]act{(*Client).DeleteNode, (*Client).OutOfService}, "c", "uid-c", whole},
	} {
		t.Run(name, func(t *testing.T) {
			client, set := fakeCluster(town()...)
			for _, act := range test.acts {
				if err := act(client, t.Context(), test.node, test.uid); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(test.want, left(t, set)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReleasedPodsGetNoGrace(t *testing.T) {
	client, set := fakeCluster(town()...)
	if err := client.OutOfService(t.Context(), "a", "uid-a"); err != nil {
		t.Fatal(err)
	}
	deleted := 0
	for _, action := range set.Actions() {
		asked, is := action.(clienttesting.DeleteActionImpl)
		if !is || asked.GetResource().Resource != "pods" {
			continue
		}
		deleted++
		options := asked.GetDeleteOptions()
		if options.GracePeriodSeconds == nil || *options.GracePeriodSeconds != 0 || options.Preconditions == nil {
			t.Errorf("%s was deleted with %+v", asked.GetName(), options)
		}
	}
	if deleted != 2 {
		t.Errorf("%d pods were deleted, want 2", deleted)
	}
}

func TestATaintThatMeetsAConflictIsWrittenAgain(t *testing.T) {
	client, set := fakeCluster(town()...)
	conflicts := 2
	set.PrependReactor("update", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		conflicts--
		return conflicts >= 0, nil, apierrors.NewConflict(corev1.Resource("nodes"), "a", errors.New("it was changed"))
	})
	if err := client.OutOfService(t.Context(), "a", "uid-a"); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(left(t, set), "out of service a") {
		t.Error("the node is in service")
	}
}

// A caller that dies with the Node deleted first would never find the pods again.
func TestTheNodeGoesAfterAllThatIsBoundToIt(t *testing.T) {
	for _, resource := range []string{"pods", "leases", "volumeattachments"} {
		t.Run(resource, func(t *testing.T) {
			client, set := fakeCluster(town()...)
			set.PrependReactor("delete", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
				return true, nil, errors.New("the API server ends")
			})
			if err := client.DeleteNode(t.Context(), "a", "uid-a"); err == nil {
				t.Fatal("no error")
			}
			if !slices.Contains(left(t, set), "node a") {
				t.Error("the node is gone, and what was bound to it is not")
			}
		})
	}
}

func TestAPodThatADaemonSetMakesAnewMeanwhileGoesToo(t *testing.T) {
	client, set := fakeCluster(town()...)
	set.PrependReactor("delete", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		return false, nil, set.Tracker().Add(podOn("a", "proxy-a"))
	})
	if err := client.DeleteNode(t.Context(), "a", "uid-a"); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(left(t, set), "pod proxy-a") {
		t.Error("the pod is still there")
	}
}

func TestALeaseOfAnotherNodeOfThatNameStays(t *testing.T) {
	client, set := fakeCluster(namedNode("a", "uid-a"), leaseOf("a", "uid-new"))
	if err := client.DeleteNode(t.Context(), "a", "uid-a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"lease a"}, left(t, set)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
