package docker

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"net/netip"
	"os"
	"strings"
)

// routeUses lists where the host's IPv4 routes lead. A host that has no /proc has none to show.
func routeUses() []subnetUse {
	text, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil
	}
	return parseRoutes(string(text))
}

// parseRoutes reads /proc/net/route: interface, destination, gateway, flags, ..., mask in the eighth column, addresses
// in the host's byte order. The default route leads everywhere and takes nothing.
func parseRoutes(text string) []subnetUse {
	var uses []subnetUse
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 {
			continue
		}
		destination, okDestination := hostOrder(fields[1])
		mask, okMask := hostOrder(fields[7])
		length := bits.OnesCount32(binary.BigEndian.Uint32(mask[:]))
		if !okDestination || !okMask || length == 0 {
			continue
		}
		subnet := netip.PrefixFrom(netip.AddrFrom4(destination), length)
		uses = append(uses, subnetUse{subnet: subnet, by: "a route over " + fields[0], making: isBridge(fields[0])})
	}
	return uses
}

func hostOrder(digits string) (address [4]byte, ok bool) {
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 4 {
		return address, false
	}
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(raw))
	return address, true
}
