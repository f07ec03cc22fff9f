package build

import (
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/images/node"
)

// bill is an SPDX 2.3 document (https://spdx.github.io/spdx-spec/v2.3/), the part of it that an image needs.
type bill struct {
	SPDXVersion       string         `json:"spdxVersion"`
	DataLicense       string         `json:"dataLicense"`
	SPDXID            string         `json:"SPDXID"`
	Name              string         `json:"name"`
	DocumentNamespace string         `json:"documentNamespace"`
	CreationInfo      creation       `json:"creationInfo"`
	Packages          []billPackage  `json:"packages"`
	Relationships     []relationship `json:"relationships"`
}

type creation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type billPackage struct {
	SPDXID           string        `json:"SPDXID"`
	Name             string        `json:"name"`
	VersionInfo      string        `json:"versionInfo,omitempty"`
	DownloadLocation string        `json:"downloadLocation"`
	FilesAnalyzed    bool          `json:"filesAnalyzed"`
	LicenseConcluded string        `json:"licenseConcluded"`
	LicenseDeclared  string        `json:"licenseDeclared"`
	CopyrightText    string        `json:"copyrightText"`
	Checksums        []checksum    `json:"checksums,omitempty"`
	ExternalRefs     []externalRef `json:"externalRefs,omitempty"`
}

type checksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type externalRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type relationship struct {
	Element string `json:"spdxElementId"`
	Type    string `json:"relationshipType"`
	Related string `json:"relatedSpdxElement"`
}

const (
	documentID = "SPDXRef-DOCUMENT"
	imageID    = "SPDXRef-image"
)

// bill lists what the image is made of: the programs, every Go module that they link, the Debian packages, and the
// products that node.yaml names the versions of.
func (c contents) bill(manifest node.Manifest) (bill, error) {
	packages := map[string]billPackage{}
	related := map[relationship]bool{{documentID, "DESCRIBES", imageID}: true}

	put := func(from, kind string, p billPackage) {
		packages[p.SPDXID] = p
		related[relationship{from, kind, p.SPDXID}] = true
	}

	packages[imageID] = newBillPackage(imageID, manifest.Repository, manifest.Bronze, "")

	for _, p := range slices.Concat(products(manifest.Versions), debianPackages(manifest.Packages)) {
		put(imageID, "CONTAINS", p)
	}

	for path, from := range c.programs {
		info, err := buildinfo.ReadFile(from)
		if err != nil {
			return bill{}, fmt.Errorf("cannot read the modules of %s: %w", path, err)
		}

		program := newBillPackage("SPDXRef-program-"+spdxName(path), path, "", "")
		put(imageID, "CONTAINS", program)

		for _, module := range linkedModules(info) {
			put(program.SPDXID, "DEPENDS_ON", module)
		}
	}

	return newBill(manifest, packages, related), nil
}

func newBill(manifest node.Manifest, packages map[string]billPackage, related map[relationship]bool) bill {
	sorted := slices.SortedFunc(maps.Keys(related), func(a, b relationship) int {
		return cmp.Or(cmp.Compare(a.Element, b.Element), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Related, b.Related))
	})

	document := bill{
		SPDXVersion:   "SPDX-2.3",
		DataLicense:   "CC0-1.0",
		SPDXID:        documentID,
		Name:          manifest.Reference(),
		CreationInfo:  creation{epoch().Format("2006-01-02T15:04:05Z"), []string{"Tool: bronze-" + manifest.Bronze}},
		Relationships: sorted,
	}

	// The namespace is unique for each content, as SPDX wants, and yet the same for the same content.
	sum := sha256.New()

	for _, id := range slices.Sorted(maps.Keys(packages)) {
		document.Packages = append(document.Packages, packages[id])
		fmt.Fprintln(sum, packages[id])
	}

	document.DocumentNamespace = "https://bronze.local/spdx/" + hex.EncodeToString(sum.Sum(nil))

	return document
}

func newBillPackage(id, name, version, locator string) billPackage {
	const unknown = "NOASSERTION"

	p := billPackage{
		SPDXID: id, Name: name, VersionInfo: version,
		DownloadLocation: unknown, LicenseConcluded: unknown, LicenseDeclared: unknown, CopyrightText: unknown,
	}
	if locator != "" {
		p.ExternalRefs = []externalRef{{"PACKAGE-MANAGER", "purl", locator}}
	}

	return p
}

func products(v node.Versions) []billPackage {
	versions := map[string]string{
		"kubernetes": v.Kubernetes, "etcd": v.Etcd, "containerd": v.Containerd, "runc": v.Runc,
		"coredns": v.CoreDNS, "flannel": v.Flannel, "cni-plugins": v.CNI,
	}

	var packages []billPackage
	for name, version := range versions {
		packages = append(packages, newBillPackage("SPDXRef-product-"+name, name, version, ""))
	}

	return packages
}

func debianPackages(wanted []node.Package) []billPackage {
	var packages []billPackage

	for _, w := range wanted {
		locator := fmt.Sprintf("pkg:deb/debian/%s@%s?arch=%s&distro=debian-12", w.Name, purlVersion(w.Version), architecture)
		p := newBillPackage("SPDXRef-deb-"+spdxName(w.Name), w.Name, w.Version, locator)
		p.Checksums = []checksum{{"SHA256", w.SHA256}}
		packages = append(packages, p)
	}

	return packages
}

// linkedModules is every module of a Go binary that has a version, with the standard library as one.
func linkedModules(info *debug.BuildInfo) []billPackage {
	modules := []*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}

	for _, dependency := range info.Deps {
		if dependency.Replace != nil {
			dependency = dependency.Replace
		}

		modules = append(modules, dependency)
	}

	var packages []billPackage

	for _, m := range modules {
		id := "SPDXRef-go-" + spdxName(m.Path+"-"+m.Version)
		packages = append(packages, newBillPackage(id, m.Path, m.Version, "pkg:golang/"+m.Path+"@"+purlVersion(m.Version)))
	}

	return packages
}

// spdxName keeps of a name what an SPDX identifier may hold: letters, digits, dots and dashes.
func spdxName(name string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}

		return '-'
	}, name), "-")
}

// purlVersion escapes a version for a package URL.
func purlVersion(version string) string {
	return strings.NewReplacer("%", "%25", "+", "%2B", ":", "%3A").Replace(version)
}
