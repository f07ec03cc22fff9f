package docker

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
)

// pinPorts answers the ports with a free one of this host for each that may be any. The engine's own choice holds for
// one run only: after a restart of the container, clients would look for the APIs in vain. All are held open until the
// last is chosen, so that no two are the same; between that and the start of the container another process may take
// one, see portTaken.
func pinPorts(ports []provision.Port) ([]provision.Port, error) {
	pinned := slices.Clone(ports)
	for i, port := range pinned {
		if port.Host != 0 || port.Protocol != "tcp" {
			continue
		}
		listener, err := net.Listen("tcp", netip.AddrPortFrom(port.HostIP, 0).String())
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port of the host: %w", err)
		}
		defer listener.Close()
		pinned[i].Host = listener.Addr().(*net.TCPAddr).AddrPort().Port()
	}
	return pinned, nil
}

// portTaken tells whether a container did not start because a port of the host is in use; the engine has no code for it.
func portTaken(err error) bool {
	return strings.Contains(err.Error(), "port is already allocated") || strings.Contains(err.Error(), "address already in use")
}

// anyPort tells whether a port of the host is ours to choose.
func anyPort(ports []provision.Port) bool {
	return slices.ContainsFunc(ports, func(port provision.Port) bool { return port.Host == 0 && port.Protocol == "tcp" })
}
