package build

import (
	"strings"
	"testing"
)

func TestBudgetIsHeldForBothSizes(t *testing.T) {
	tests := []struct {
		name    string
		summary Summary
		want    string
	}{
		{"within", Summary{UnpackedBytes: UnpackedBudget, CompressedBytes: CompressedBudget}, ""},
		{"unpacked", Summary{UnpackedBytes: UnpackedBudget + 1}, "unpacked"},
		{"compressed", Summary{CompressedBytes: CompressedBudget + 1}, "compressed"},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.summary.CheckBudget()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestSummaryNamesTheLargestFilesFirst(t *testing.T) {
	all := tree{"/a": {size: 1}, "/b": {size: 3}, "/c": {size: 3}}

	got := all.biggest(2)
	if len(got) != 2 || got[0].Path != "/b" || got[1].Path != "/c" {
		t.Errorf("biggest two are %v, want /b and /c", got)
	}
}
