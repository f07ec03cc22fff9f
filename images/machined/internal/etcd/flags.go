package etcd

import (
	"path/filepath"
	"strconv"

	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

// Arguments is etcd's command line. cluster is what Join answered; empty is for the first member of a new cluster. A
// member that has its data knows better and needs neither.
func (m Member) Arguments(cluster string) []string {
	client := func(host string) string { return "https://" + ClientAddress(host) }
	peer, state := m.peerURL(), "existing"

	if cluster == "" {
		cluster, state = m.Name+"="+peer, "new"
	}

	values := kubernetes.Flags{
		"name":                        {m.Name},
		"data-dir":                    {m.dataDir()},
		"listen-client-urls":          {client(m.IP.String()) + "," + client("127.0.0.1")},
		"advertise-client-urls":       {client(m.IP.String())},
		"listen-peer-urls":            {peer},
		"initial-advertise-peer-urls": {peer},
		"initial-cluster":             {cluster},
		"initial-cluster-state":       {state},
		"client-cert-auth":            {"true"},
		"trusted-ca-file":             {m.secret("ca.crt")},
		"cert-file":                   {m.secret("server.crt")},
		"key-file":                    {m.secret("server.key")},
		"peer-client-cert-auth":       {"true"},
		"peer-trusted-ca-file":        {m.secret("ca.crt")},
		"peer-cert-file":              {m.secret("peer.crt")},
		"peer-key-file":               {m.secret("peer.key")},
		"auto-compaction-mode":        {"periodic"},
		"auto-compaction-retention":   {"1h"},
		// bbolt maps this much of its file at once, and etcd's default of 10 GiB makes sense on large machines only.
		"quota-backend-bytes": {strconv.Itoa(2 << 30)},
		"log-level":           {"warn"},
	}

	return append([]string{filepath.Join(m.Root, "/usr/bin/etcd")}, values.With(m.Config.Cluster().Etcd().ExtraArgs()).Arguments()...)
}
