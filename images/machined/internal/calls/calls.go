// Package calls is the list of every call of the machine API: who may make it, and what a container node does with it.
// Authorization, the answers of calls that make no sense in a container, and docs/machine-api.md are all taken from it.
// It may import machinery's roles and gRPC only.
package calls

import (
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/role"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// State is what a container node does with a call.
type State string

// The states of a call.
const (
	// Works does what Talos does.
	Works State = "works"
	// ControlPlane works on control planes; a worker answers FailedPrecondition, where Talos has Unimplemented.
	ControlPlane State = "works on control planes"
	// Refused answers FailedPrecondition with the call's note, which tells what to do instead.
	Refused State = "refused"
	// Denied answers PermissionDenied to everybody, as it does in Talos.
	Denied State = "denied"
)

// Call is one method of the machine API.
type Call struct {
	// Service is the full name of its service, such as machine.MachineService.
	Service string
	Name    string
	State   State
	// Roles are those that may make it. They are Talos's, as its v1.13 has them.
	Roles role.Set
	// Maintenance is true where a node without a machine config answers it, to callers without a certificate.
	Maintenance bool
	// Note tells what to do instead of a refused call, or in what a working one differs from Talos's.
	Note string
}

// Method is the call's full name as gRPC has it: /service/name.
func (c Call) Method() string { return "/" + c.Service + "/" + c.Name }

// Refusal is the answer of a node that does not do the call: FailedPrecondition with what to do instead where it cannot, and
// PermissionDenied where nobody may. It is nil where the node does it.
func (c Call) Refusal(worker bool) error {
	switch {
	case c.State == Refused:
		return status.Errorf(codes.FailedPrecondition, "a container node has no %s: %s", c.Name, c.Note)
	case c.State == Denied:
		return status.Errorf(codes.PermissionDenied, "%s is for nobody: %s", c.Name, c.Note)
	case c.State == ControlPlane && worker:
		return status.Errorf(codes.FailedPrecondition, "%s is for control planes and this is a worker: name one of them as the node", c.Name)
	default:
		return nil
	}
}

// All lists every call, by service.
func All() []Call {
	var all []Call

	for _, group := range [][]Call{
		machineCalls(), etcdCalls(), fileCalls(), containerCalls(), measureCalls(), serviceCalls(), otherCalls(), stateCalls(),
	} {
		all = append(all, group...)
	}

	return all
}

// Find answers the call with that full name; false means that there is none.
func Find(method string) (Call, bool) {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")

	for _, call := range All() {
		if call.Service == service && call.Name == name {
			return call, true
		}
	}

	return Call{}, false
}

// Roles are those that may make the call; what the list does not know is for admins.
func Roles(method string) role.Set {
	if call, ok := Find(method); ok {
		return call.Roles
	}

	return admins()
}

func admins() role.Set    { return role.MakeSet(role.Admin) }
func operators() role.Set { return role.MakeSet(role.Admin, role.Operator) }
func readers() role.Set   { return role.MakeSet(role.Admin, role.Operator, role.Reader) }

// and adds a role to a group.
func and(group role.Set, one role.Role) role.Set {
	named, _ := role.Parse(append(group.Strings(), string(one)))

	return named
}
