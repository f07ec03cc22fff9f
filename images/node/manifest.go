// Package node is the manifest of the node image: node.yaml as Go values. The builder reads all of it; the command and
// the guest read the versions. It imports the standard library and a YAML parser only, since the guest links it.
package node

import (
	_ "embed"
	"fmt"

	"sigs.k8s.io/yaml"
)

//go:embed node.yaml
var source []byte

// Versions names what a node runs, each with a leading v.
type Versions struct {
	// Bronze is the version of the image and of the command that builds it.
	Bronze     string `json:"version"`
	Kubernetes string `json:"kubernetes"`
	// Talos is the release whose machine config and machine API a node speaks.
	Talos      string `json:"talos"`
	Etcd       string `json:"etcd"`
	Containerd string `json:"containerd"`
	Runc       string `json:"runc"`
	CoreDNS    string `json:"coredns"`
	Flannel    string `json:"flannel"`
	CNI        string `json:"cni"`
}

// Manifest is node.yaml: everything that goes into the image.
type Manifest struct {
	Versions
	// Repository is the image's name in the engine, without a tag.
	Repository  string      `json:"repository"`
	Directories []Directory `json:"directories"`
	Links       []Link      `json:"links"`
	Components  []Component `json:"components"`
	Container   Container   `json:"container"`
	Packages    []Package   `json:"packages"`
}

// Directory is one that no file of the image implies.
type Directory struct {
	Path string `json:"path"`
	// Mode is octal, "0755" where empty.
	Mode string `json:"mode,omitempty"`
}

// Link is a symbolic link.
type Link struct {
	Path   string `json:"path"`
	Target string `json:"target"`
}

// Component is a Go module of this repository and the programs that are built in it.
type Component struct {
	Name string `json:"name"`
	// Module is the module's directory, relative to the repository.
	Module   string    `json:"module"`
	Programs []Program `json:"programs"`
	// CGO links C libraries of the host, statically.
	CGO bool `json:"cgo,omitempty"`
	// Needs are the Debian packages of the host that CGO compiles with.
	Needs   []string `json:"needs,omitempty"`
	Tags    []string `json:"tags,omitempty"`
	LDFlags []string `json:"ldflags,omitempty"`
	Links   []Link   `json:"links,omitempty"`
	// Own marks the programs of this project, which change more often than those of others.
	Own bool `json:"own,omitempty"`
}

// Program is one main package and the path of its binary in the image.
type Program struct {
	Package string `json:"package"`
	Path    string `json:"path"`
}

// Container is the one container image that every node holds, and its names.
type Container struct {
	// Archive is the path of the OCI layout archive in the node image.
	Archive     string      `json:"archive"`
	Entrypoint  []string    `json:"entrypoint"`
	Path        string      `json:"path"`
	Names       []string    `json:"names"`
	Directories []Directory `json:"directories"`
	Component   Component   `json:"component"`
}

// Package is a Debian package that files are taken from.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// SHA256 is the checksum of the .deb, in hexadecimal.
	SHA256 string `json:"sha256"`
	// Files are glob patterns (path.Match) over the paths of a merged /usr; each matches at least one file.
	Files []string `json:"files"`
	// Bundle, where it is set, is the one file that all Files are joined into, in the order of their paths.
	Bundle string `json:"bundle,omitempty"`
	// Container puts the files into the container image too.
	Container bool `json:"container,omitempty"`
}

// Load parses the manifest that is compiled in. An unknown field is an error, so that a misspelt one is seen.
func Load() (Manifest, error) {
	var manifest Manifest
	if err := yaml.UnmarshalStrict(source, &manifest); err != nil {
		return Manifest{}, fmt.Errorf("cannot parse node.yaml: %w", err)
	}

	return manifest, nil
}

// Reference is the image's name and tag in the engine.
func (m Manifest) Reference() string {
	return m.Repository + ":" + m.Bronze
}

// Source is node.yaml as it was compiled in, the bytes that go into the image.
func Source() []byte {
	return append([]byte(nil), source...)
}
