// Package test holds what is true of the repository as a whole: its import graph here, real clusters in e2e, and
// measurements in bench.
package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bronze-os/bronze/"

// room is a part of the repository with what it may depend on, directly or through others.
type room struct {
	// path is relative to the module and stands for all packages under it; the longest that fits counts.
	path string
	// mayUse are other rooms of this module.
	mayUse []string
	// stdOnly keeps every other module out.
	stdOnly bool
	// bans are import path prefixes of other modules.
	bans []string
}

// The commands' library and the clients of engines, which only some rooms may know.
const (
	cobra  = "github.com/spf13/cobra"
	moby   = "github.com/moby/moby"
	docker = "github.com/docker/docker"
)

// rooms says which way the arrows run: cmd -> providers -> provision on the host, machined alone in the guest.
func rooms() []room {
	return []room{
		{path: "images/boot", stdOnly: true},
		{path: "images/balance", stdOnly: true},
		{path: "images/balancer", mayUse: []string{"images/boot", "images/balance"}, stdOnly: true},
		{path: "images/probe", stdOnly: true},
		{path: "images/node", mayUse: []string{"images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "images/machined", mayUse: []string{"images/boot", "images/balance", "images/node"}, bans: []string{cobra, moby, docker}},
		{path: "images/build", mayUse: []string{"images/boot", "images/node"}, bans: []string{cobra}},
		{path: "provision", mayUse: []string{"images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/operate", mayUse: []string{"provision/machineconfig", "provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/picture", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/reconcile", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/drill", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/backup", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "provision/recovery", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "providers", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra}},
		{path: "providers/providertest", mayUse: []string{"provision", "images/boot"}, bans: []string{cobra, moby, docker}},
		{path: "cmd", mayUse: []string{"provision", "providers", "images/build", "images/boot", "images/node"}},
		{path: "hack/bronze-runc", stdOnly: true},
	}
}

func TestArrowsRunDownwardsOnly(t *testing.T) {
	packages := listPackages(t)
	checked := map[string]bool{}

	for _, p := range packages {
		room, ok := roomOf(p.ImportPath)
		if !ok {
			t.Errorf("%s is in no room of this test: say there what it may import", p.ImportPath)

			continue
		}

		checked[room.path] = true

		for _, dependency := range p.Deps {
			if reason := room.forbids(dependency); reason != "" {
				t.Errorf("%s depends on %s: %s", p.ImportPath, dependency, reason)
			}
		}
	}

	for _, room := range rooms() {
		if !checked[room.path] {
			t.Errorf("the room %s has no package", room.path)
		}
	}
}

func TestForbids(t *testing.T) {
	leaf := room{path: "images/boot", stdOnly: true}
	domain := room{path: "provision", mayUse: []string{"images/boot"}, bans: []string{moby}}

	for _, test := range []struct {
		name       string
		room       room
		dependency string
		forbidden  bool
	}{
		{"the standard library is for all", leaf, "net/netip", false},
		{"a leaf uses no other module", leaf, "golang.org/x/sys/unix", true},
		{"a room uses itself", domain, module + "provision/kube", false},
		{"a room uses what it may", domain, module + "images/boot", false},
		{"a room uses nothing above it", domain, module + "providers/docker", true},
		{"a name that only begins alike is another room", domain, module + "provisioning", true},
		{"a banned module", domain, moby + "/client", true},
		{"another module", domain, "go.yaml.in/yaml/v4", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if reason := test.room.forbids(test.dependency); (reason != "") != test.forbidden {
				t.Errorf("forbids(%q) = %q, want forbidden %t", test.dependency, reason, test.forbidden)
			}
		})
	}
}

// forbids tells why the room may not depend on that import path; it is empty where it may.
func (r room) forbids(dependency string) string {
	own, isOurs := strings.CutPrefix(dependency, module)

	switch {
	case isOurs && !under(own, r.path) && !slices.ContainsFunc(r.mayUse, func(path string) bool { return under(own, path) }):
		return r.path + " may use of this module only " + strings.Join(append(r.mayUse, "itself"), ", ")
	case !isOurs && r.stdOnly && strings.Contains(strings.Split(dependency, "/")[0], "."):
		return r.path + " may use the standard library only"
	case slices.ContainsFunc(r.bans, func(path string) bool { return under(dependency, path) }):
		return "banned from " + r.path
	}

	return ""
}

// roomOf answers false for a package that is in no room.
func roomOf(importPath string) (room, bool) {
	own := strings.TrimPrefix(importPath, module)

	var found room
	for _, room := range rooms() {
		if under(own, room.path) && len(room.path) > len(found.path) {
			found = room
		}
	}

	return found, found.path != ""
}

func under(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

type listedPackage struct {
	ImportPath string
	Deps       []string
}

// listPackages asks the go command for this module's packages but test's; tests are not part of a room's imports.
func listPackages(t *testing.T) []listedPackage {
	t.Helper()

	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Deps", "./...")
	command.Dir = ".."
	command.Env = append(command.Environ(), "GOOS=linux")

	var stderr bytes.Buffer
	command.Stderr = &stderr

	output, err := command.Output()
	if err != nil {
		t.Fatalf("listing packages: %v\n%s", err, stderr.String())
	}

	var packages []listedPackage

	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p listedPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("parsing go list's output: %v", err)
		}

		if !under(strings.TrimPrefix(p.ImportPath, module), "test") {
			packages = append(packages, p)
		}
	}

	if len(packages) == 0 {
		t.Fatal("go list told no package")
	}

	return packages
}
