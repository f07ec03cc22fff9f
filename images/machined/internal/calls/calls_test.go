package calls_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cosi-project/runtime/api/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/api/cluster"
	"github.com/siderolabs/talos/pkg/machinery/api/inspect"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/api/storage"
	"github.com/siderolabs/talos/pkg/machinery/api/time"
	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/calls"
)

// services are all of the machine API, as their definitions list them.
func services() []grpc.ServiceDesc {
	return []grpc.ServiceDesc{
		machine.MachineService_ServiceDesc, machine.ImageService_ServiceDesc, machine.DebugService_ServiceDesc,
		machine.LifecycleService_ServiceDesc, cluster.ClusterService_ServiceDesc, inspect.InspectService_ServiceDesc,
		time.TimeService_ServiceDesc, storage.StorageService_ServiceDesc, v1alpha1.State_ServiceDesc,
	}
}

func TestTheListHoldsEachCallOfTheAPIOnce(t *testing.T) {
	var want, got []string

	for _, service := range services() {
		for _, method := range service.Methods {
			want = append(want, "/"+service.ServiceName+"/"+method.MethodName)
		}

		for _, stream := range service.Streams {
			want = append(want, "/"+service.ServiceName+"/"+stream.StreamName)
		}
	}

	for _, call := range calls.All() {
		got = append(got, call.Method())
	}

	slices.Sort(want)
	slices.Sort(got)

	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestARefusalNamesTheCure(t *testing.T) {
	tests := []struct {
		name   string
		call   calls.Call
		worker bool
		want   codes.Code
		cure   string
	}{
		{"a call that works", calls.Call{Name: "Version", State: calls.Works}, true, codes.OK, ""},
		{"one that cannot", calls.Call{Name: "Upgrade", State: calls.Refused, Note: "do that"}, false, codes.FailedPrecondition, "do that"},
		{"a control plane's on a worker", calls.Call{Name: "EtcdStatus", State: calls.ControlPlane}, true, codes.FailedPrecondition, "name one of them"},
		{"a control plane's on a control plane", calls.Call{Name: "EtcdStatus", State: calls.ControlPlane}, false, codes.OK, ""},
		{"one that is for nobody", calls.Call{Name: "Create", State: calls.Denied, Note: "read only"}, false, codes.PermissionDenied, "read only"},
		{"one that nobody knows", calls.Call{}, true, codes.OK, ""},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.call.Refusal(test.worker)
			if status.Code(err) != test.want || !strings.Contains(status.Convert(err).Message(), test.cure) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestEachRefusedCallHasACure(t *testing.T) {
	for _, call := range calls.All() {
		if (call.State == calls.Refused || call.State == calls.Denied) && call.Note == "" {
			t.Errorf("%s says nothing of what to do instead", call.Method())
		}
	}
}

func update() bool {
	set := flag.Lookup("update")

	return set != nil && set.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write docs/machine-api.md")
	flag.Parse()
	os.Exit(m.Run())
}

func TestTheDocsListTheCalls(t *testing.T) {
	const path = "../../../../docs/machine-api.md"

	want := document()

	if update() {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("run go test ./images/machined/internal/calls -update (-want +got):\n%s", diff)
	}
}

func document() string {
	var page strings.Builder

	page.WriteString(introduction)

	for _, service := range services() {
		fmt.Fprintf(&page, "\n## %s\n| call | state | roles | remarks |\n|---|---|---|---|\n", service.ServiceName)

		for _, call := range calls.All() {
			if call.Service == service.ServiceName {
				fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", call.Name, state(call), roles(call.Roles), call.Note)
			}
		}
	}

	return page.String()
}

func state(call calls.Call) string {
	if call.Maintenance {
		return string(call.State) + ", in maintenance too"
	}

	return string(call.State)
}

// roles leaves out the prefix that all have.
func roles(set role.Set) string {
	names := set.Strings()
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], role.Prefix)
	}

	return strings.Join(names, ", ")
}

const introduction = `# The machine API

Every call of machinery v1.13.3 and what a container node does with it. The table is generated from
` + "`images/machined/internal/calls`" + `, which also decides who may call what.

- **works**: does what Talos does.
- **works on control planes**: a worker answers FailedPrecondition.
- **refused**: answers FailedPrecondition with what to do instead, which is what the remark says.
- **denied**: answers PermissionDenied.
- **in maintenance too**: a node without a machine config answers it, without a client certificate.

Roles come from the organization of the client's certificate: os:admin, os:operator, os:reader, os:etcd:backup,
os:image:verifier and os:meta:writer.
`
