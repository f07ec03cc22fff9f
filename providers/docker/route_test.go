package docker

import "testing"

func TestRoutesAreReadInTheHostsByteOrder(t *testing.T) {
	// As a little-endian kernel writes it.
	text := "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"tun0\t0000090A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n" +
		"broken line\n"
	if hostIsBigEndian() {
		t.Skip("NOT TESTED: the sample is of a little-endian host")
	}
	uses := parseRoutes(text)
	if len(uses) != 1 || uses[0].subnet.String() != "10.9.0.0/16" || uses[0].by != "a route over tun0" {
		t.Errorf("got %+v, want 10.9.0.0/16 over tun0 and no default route", uses)
	}
}

func hostIsBigEndian() bool {
	address, ok := hostOrder("0A000000")
	return ok && address[0] == 10
}
