// Package etcd runs the cluster's store as a service of a control plane node: its certificates and command line, and how
// the node founds a cluster, joins one, and leaves it. The process itself is the supervisor's. It may import the rooms
// that make files and flags, and etcd's generated API, but not etcd's client or server: those would double machined.
package etcd

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"

	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/boot"
)

const (
	// DataDir is on the volume that outlives the node's restarts.
	DataDir = "/var/lib/etcd"
	// SecretsDir holds ca.crt, server.{crt,key}, peer.{crt,key} and, for clients on this node, admin.{crt,key}.
	SecretsDir = "/system/secrets/etcd"
)

// Member is etcd on this node.
type Member struct {
	Config config.Provider
	// Name is the node's name, which etcd shows as the member's.
	Name string
	IP   netip.Addr
	// Root is the directory that DataDir and SecretsDir lie under; empty is the node's own root.
	Root string
}

// HasData tells whether etcd has run on this node, so that it knows its cluster by itself. etcd decides by the same
// files: the directory alone may be what is left of a start that was cut short.
func (m Member) HasData() bool {
	logs, err := filepath.Glob(filepath.Join(m.dataDir(), "member", "wal", "*.wal"))

	return err == nil && len(logs) > 0
}

// Forget removes all data, as that of a member that has left is good for nothing.
func (m Member) Forget() error {
	if err := os.RemoveAll(filepath.Join(m.dataDir(), "member")); err != nil {
		return fmt.Errorf("cannot remove etcd's data: %w", err)
	}

	if err := os.Remove(m.snapshotFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the snapshot: %w", err)
	}

	return nil
}

func (m Member) dataDir() string { return filepath.Join(m.Root, DataDir) }

func (m Member) secret(name string) string { return filepath.Join(m.Root, SecretsDir, name) }

// peerURL is how the cluster knows the member.
func (m Member) peerURL() string {
	return "https://" + net.JoinHostPort(m.IP.String(), strconv.Itoa(boot.EtcdPeerPort))
}

// ClientAddress is where the member on host serves clients.
func ClientAddress(host string) string {
	return net.JoinHostPort(host, strconv.Itoa(boot.EtcdClientPort))
}
