package build

import (
	"encoding/json"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/bronze-os/bronze/images/node"
)

// TestBillIsValidSPDX checks what the SPDX 2.3 schema demands of a document like ours.
func TestBillIsValidSPDX(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}

	manifest := smallManifest()
	manifest.Packages = []node.Package{{Name: "libstdc++6", Version: "1:2~rc+b1", SHA256: "ab"}}

	document, err := contents{programs: map[string]string{"/usr/sbin/init": program}}.bill(manifest)
	if err != nil {
		t.Fatal(err)
	}

	checkBill(t, document)

	if want := "pkg:deb/debian/libstdc++6@1%3A2~rc%2Bb1?arch=amd64&distro=debian-12"; !hasLocator(document.Packages, want) {
		t.Errorf("no package has the locator %s", want)
	}
}

func hasLocator(packages []billPackage, locator string) bool {
	return slices.ContainsFunc(packages, func(p billPackage) bool {
		return slices.ContainsFunc(p.ExternalRefs, func(r externalRef) bool { return r.Locator == locator })
	})
}

func TestLinkedModulesAreThoseThatWereCompiled(t *testing.T) {
	packages := linkedModules(&debug.BuildInfo{
		GoVersion: "go1.26.2",
		Deps: []*debug.Module{
			{Path: "sigs.k8s.io/yaml", Version: "v1.6.0"},
			{Path: "k8s.io/api", Version: "v0.0.0", Replace: &debug.Module{Path: "k8s.io/api", Version: "v0.37.2"}},
			{Path: "github.com/docker/cli", Version: "v29.7.2+incompatible"},
		},
	})

	for _, want := range []string{
		"pkg:golang/stdlib@1.26.2",
		"pkg:golang/sigs.k8s.io/yaml@v1.6.0",
		"pkg:golang/k8s.io/api@v0.37.2",
		"pkg:golang/github.com/docker/cli@v29.7.2%2Bincompatible",
	} {
		if !hasLocator(packages, want) {
			t.Errorf("no package has the locator %s", want)
		}
	}

	if len(packages) != 4 {
		t.Errorf("there are %d packages, want 4", len(packages))
	}
}

func checkBill(t *testing.T, document bill) {
	t.Helper()

	if document.SPDXVersion != "SPDX-2.3" || document.DataLicense != "CC0-1.0" || document.SPDXID != "SPDXRef-DOCUMENT" {
		t.Errorf("document is %s under %s with ID %s", document.SPDXVersion, document.DataLicense, document.SPDXID)
	}

	identifier := regexp.MustCompile(`^SPDXRef-[a-zA-Z0-9.-]+$`)
	known := map[string]bool{document.SPDXID: true}

	for _, p := range document.Packages {
		if !identifier.MatchString(p.SPDXID) || known[p.SPDXID] || p.Name == "" || p.DownloadLocation == "" {
			t.Errorf("package is not valid, or there twice: %+v", p)
		}

		known[p.SPDXID] = true
	}

	described := map[string]bool{}

	for _, r := range document.Relationships {
		if !known[r.Element] || !known[r.Related] {
			t.Errorf("relationship names what is not there: %+v", r)
		}

		described[r.Related] = true
	}

	for _, p := range document.Packages {
		if !described[p.SPDXID] {
			t.Errorf("nothing relates to package %s", p.SPDXID)
		}
	}
}

func TestWrittenBillHasTheFieldsThatSPDXDemands(t *testing.T) {
	result, _ := buildSmall(t, repository(t), t.TempDir())

	var document map[string]any
	if err := json.Unmarshal([]byte(read(t, result.OutputDir, "sbom.spdx.json")), &document); err != nil {
		t.Fatal(err)
	}

	for _, field := range []string{
		"spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "relationships",
	} {
		if document[field] == nil {
			t.Errorf("no field %s", field)
		}
	}
}
