// Package hostsfile turns the static hosts of the machine config into lines of /etc/hosts, after those that the engine
// wrote there.
package hostsfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Path is where every program of the node looks, and where the kubelet starts from for pods in the node's network.
const Path = "/etc/hosts"

// File answers the file with one line for each entry, by address.
func File(entries []config.NetworkStaticHostConfig) rootfs.Step {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b config.NetworkStaticHostConfig) int { return cmp.Compare(a.IP(), b.IP()) })

	var lines strings.Builder
	for _, entry := range sorted {
		fmt.Fprintf(&lines, "%s\t%s\n", entry.IP(), strings.Join(entry.Aliases(), " "))
	}

	return rootfs.Shadow{Path: Path, Content: lines.String(), Append: true}
}
