package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// restricted is a host without CAP_SYS_RESOURCE, as its /proc/self shows it.
const (
	restrictedStatus = "Name:\tcat\nCapPrm:\t000001fffeffffff\nCapBnd:\t000001fffeffffff\nCapAmb:\t0000000000000000\n"
	restrictedLimits = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 20000                files
`
)

func TestFitTakesOutWhatTheHostRefuses(t *testing.T) {
	restricted, err := parseHost(restrictedStatus, restrictedLimits, "0\n")
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct{ name, config, want string }{
		{
			name:   "a capability out of the bounding set",
			config: `{"process":{"capabilities":{"bounding":["CAP_CHOWN","CAP_SYS_RESOURCE"],"ambient":[]}}}`,
			want:   `{"process":{"capabilities":{"bounding":["CAP_CHOWN"],"ambient":[]}}}`,
		},
		{
			name:   "a limit over the hard limit, and only that",
			config: `{"process":{"rlimits":[{"type":"RLIMIT_NOFILE","hard":1048576,"soft":512},{"type":"RLIMIT_CPU","hard":18446744073709551615,"soft":1}]}}`,
			want:   `{"process":{"rlimits":[{"type":"RLIMIT_NOFILE","hard":20000,"soft":512},{"type":"RLIMIT_CPU","hard":18446744073709551615,"soft":1}]}}`,
		},
		{
			name:   "an OOM score under the one that was inherited",
			config: `{"process":{"oomScoreAdj":-500}}`,
			want:   `{"process":{"oomScoreAdj":0}}`,
		},
		{
			name:   "nothing where nothing is asked for",
			config: `{"ociVersion":"1.0.2","process":{"args":["/sbin/init"],"oomScoreAdj":100}}`,
			want:   `{"ociVersion":"1.0.2","process":{"args":["/sbin/init"],"oomScoreAdj":100}}`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := fit([]byte(test.config), restricted)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(parse(t, test.want), parse(t, string(got))); diff != "" {
				t.Errorf("fitted config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHostWithCapSysResourceKeepsEverything(t *testing.T) {
	whole, err := parseHost("CapBnd:\t000001ffffffffff\n", restrictedLimits, "0\n")
	if err != nil {
		t.Fatal(err)
	}

	config := `{"process":{"capabilities":{"bounding":["CAP_SYS_RESOURCE"]},"oomScoreAdj":-500,"rlimits":[{"hard":1048576,"soft":1,"type":"RLIMIT_NOFILE"}]}}`

	got, err := fit([]byte(config), whole)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(config, string(got)); diff != "" {
		t.Errorf("fitted config (-want +got):\n%s", diff)
	}
}

func TestBundleOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		args   []string
		bundle string
		makes  bool
	}{
		{"create with a bundle", []string{"--root", "/r", "create", "--bundle", "/b", "id"}, "/b", true},
		{"the equals form", []string{"run", "--bundle=/b", "id"}, "/b", true},
		{"no bundle is the working directory", []string{"create", "id"}, ".", true},
		{"delete makes nothing", []string{"delete", "id"}, ".", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			bundle, makes := bundleOf(test.args)
			if bundle != test.bundle || makes != test.makes {
				t.Errorf("bundleOf(%q) = %q, %t, want %q, %t", test.args, bundle, makes, test.bundle, test.makes)
			}
		})
	}
}

// parse keeps numbers as text, so that 2^64-1 is compared whole.
func parse(t *testing.T, text string) any {
	t.Helper()

	var value map[string]any

	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()

	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}

	return value
}
