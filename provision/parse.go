package provision

import (
	"fmt"
	"net/netip"
	"path"
	"strconv"
	"strings"
)

// Mount types.
const (
	MountBind   = "bind"
	MountVolume = "volume"
	MountTmpfs  = "tmpfs"
)

// loopback is where mapped ports listen unless the user says otherwise.
func loopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// ParsePort reads "[hostIP:]host:node[/protocol]", such as "8080:80" or "127.0.0.1:5353:53/udp". The host's IP is
// loopback and the protocol is tcp where they are not said; host port 0 is any free one.
func ParsePort(text string) (Port, error) {
	numbers, protocol, said := strings.Cut(text, "/")
	if !said {
		protocol = "tcp"
	}
	fields := strings.Split(numbers, ":")
	if len(fields) < 2 || len(fields) > 3 || (protocol != "tcp" && protocol != "udp") {
		return Port{}, fmt.Errorf("cannot read port %q: want [hostIP:]host:node[/tcp|/udp]", text)
	}
	port := Port{HostIP: loopback(), Protocol: protocol}
	if len(fields) == 3 {
		ip, err := netip.ParseAddr(fields[0])
		if err != nil {
			return Port{}, fmt.Errorf("cannot read port %q: %q is not an IP address", text, fields[0])
		}
		port.HostIP, fields = ip, fields[1:]
	}
	host, hostErr := strconv.ParseUint(fields[0], 10, 16)
	node, nodeErr := strconv.ParseUint(fields[1], 10, 16)
	if hostErr != nil || nodeErr != nil || node == 0 {
		return Port{}, fmt.Errorf("cannot read port %q: ports are numbers up to 65535", text)
	}
	port.Host, port.Node = uint16(host), uint16(node)
	return port, nil
}

// ParseMount reads Docker's form "type=bind,source=/a,target=/b,readonly". The type is bind where it is not said.
func ParseMount(text string) (Mount, error) {
	mount := Mount{Type: MountBind}
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "type":
			mount.Type = value
		case "source", "src":
			mount.Source = value
		case "target", "destination", "dst":
			mount.Target = path.Clean(value)
		case "readonly", "ro":
			mount.ReadOnly = value == "" || value == "true" || value == "1"
		default:
			return Mount{}, fmt.Errorf("cannot read mount %q: unknown key %q, want type, source, target or readonly", text, key)
		}
	}
	return mount, nil
}
