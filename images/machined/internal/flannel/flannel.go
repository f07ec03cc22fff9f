// Package flannel connects the pods of all nodes: flanneld as a service, and the CNI configuration that containerd
// reads once flanneld has the node's lease.
package flannel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

const (
	netConf    = "/system/etc/flannel/net-conf.json"
	subnetFile = "/run/flannel/subnet.env"
	// cniConfig sorts after what a custom CNI usually installs, so that one added later wins.
	cniConfig = "/etc/cni/net.d/10-flannel.conflist"

	leasePause = 20 * time.Millisecond
)

// Files answers flanneld's configuration. Nodes of one cluster share a layer 2 segment, so plain routes (host-gw)
// do, without the cost of an overlay.
func Files(podCIDR string) ([]rootfs.Step, error) {
	content, err := json.Marshal(map[string]any{
		"Network":        podCIDR,
		"EnableNFTables": true,
		"Backend":        map[string]any{"Type": "host-gw"},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot encode flannel's configuration: %w", err)
	}

	return []rootfs.Step{
		rootfs.Dir{Path: "/run/flannel", Mode: 0o755},
		rootfs.File{Path: netConf, Content: string(content), Mode: 0o644},
	}, nil
}

// Arguments is flanneld's command line.
func Arguments(kubeconfig string, extra []string) []string {
	return append([]string{"/usr/bin/flanneld", "--kubeconfig-file=" + kubeconfig, "--net-config-path=" + netConf, "--subnet-file=" + subnetFile}, extra...)
}

// Configure waits until flanneld has written its lease, then writes the CNI configuration that goes with it.
func Configure(ctx context.Context) error {
	for {
		lease, err := readLease()
		if err == nil {
			return cniFile(lease).Do()
		}

		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}

		select {
		case <-time.After(leasePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Healthy tells whether flanneld has the node's lease.
func Healthy(context.Context) error {
	_, err := readLease()

	return err
}

type lease struct {
	subnet string
	mtu    int
}

func readLease() (lease, error) {
	text, err := os.ReadFile(subnetFile)
	if err != nil {
		return lease{}, fmt.Errorf("flanneld has no lease yet: %w", err)
	}

	return parseLease(string(text))
}

// parseLease reads flannel's subnet.env, lines of NAME=value.
func parseLease(text string) (lease, error) {
	values := map[string]string{}

	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[name] = value
		}
	}

	mtu, err := strconv.Atoi(values["FLANNEL_MTU"])
	if err != nil || values["FLANNEL_SUBNET"] == "" {
		return lease{}, fmt.Errorf("cannot read flanneld's lease %q", text)
	}

	return lease{subnet: values["FLANNEL_SUBNET"], mtu: mtu}, nil
}

// cniFile is a chain of the stock plugins. flannel gives the gateway's address with the prefix length of the node's
// pods; host-local takes it as the subnet.
func cniFile(l lease) rootfs.File {
	content := fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "cbr0",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "mtu": %d,
      "isGateway": true,
      "isDefaultGateway": true,
      "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}, "backend": "nftables"}
  ]
}
`, l.mtu, networkOf(l.subnet))

	return rootfs.File{Path: cniConfig, Content: content, Mode: 0o644}
}

// networkOf turns an address with a prefix length into its network: 10.244.1.1/24 is in 10.244.1.0/24.
func networkOf(cidr string) string {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return cidr
	}

	return prefix.Masked().String()
}
