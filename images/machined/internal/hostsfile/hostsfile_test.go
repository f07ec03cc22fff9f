package hostsfile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/config/configloader"

	"github.com/bronze-os/bronze/images/machined/internal/hostsfile"
	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	start   = "version: v1alpha1\nmachine:\n  type: worker\n"
	entries = "  network: {extraHostEntries: [{ip: 10.0.0.2, aliases: [b, b.lan]}, {ip: 10.0.0.1, aliases: [a]}]}\n"
	end     = "cluster: {}\n"
	static  = "---\napiVersion: v1alpha1\nkind: StaticHostConfig\nname: 10.0.0.3\nhostnames: [c]\n"
)

func TestHostsOfBothKindsOfDocumentAreLines(t *testing.T) {
	for _, tc := range []struct{ name, document, want string }{
		{"none", start + end, ""},
		{"the node's document", start + entries + end, "10.0.0.1\ta\n10.0.0.2\tb b.lan\n"},
		{"a document of its own", start + end + static, "10.0.0.3\tc\n"},
		{"both", start + entries + end + static, "10.0.0.1\ta\n10.0.0.2\tb b.lan\n10.0.0.3\tc\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			provider, err := configloader.NewFromBytes([]byte(tc.document))
			if err != nil {
				t.Fatal(err)
			}

			want := rootfs.Shadow{Path: "/etc/hosts", Content: tc.want, Append: true}
			if diff := cmp.Diff(rootfs.Step(want), hostsfile.File(provider.NetworkStaticHostConfig())); diff != "" {
				t.Error(diff)
			}
		})
	}
}
