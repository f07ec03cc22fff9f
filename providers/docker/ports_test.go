package docker

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/bronze-os/bronze/provision"
)

func TestPortsThatMayBeAnyArePinnedAndOthersKept(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	asked := []provision.Port{
		{HostIP: loopback, Node: 50000, Protocol: "tcp"},
		{HostIP: loopback, Node: 6443, Protocol: "tcp"},
		{HostIP: loopback, Host: 8080, Node: 80, Protocol: "tcp"},
	}
	pinned, err := pinPorts(asked)
	if err != nil {
		t.Fatal(err)
	}
	if pinned[0].Host == 0 || pinned[1].Host == 0 || pinned[0].Host == pinned[1].Host || pinned[2].Host != 8080 {
		t.Errorf("pinned %+v", pinned)
	}
	if !anyPort(asked) || anyPort(pinned) {
		t.Errorf("any port: asked %t, pinned %t", anyPort(asked), anyPort(pinned))
	}
}

func TestTakenPortIsTold(t *testing.T) {
	taken := errors.New("driver failed programming external connectivity: Bind for 127.0.0.1:8080 failed: port is already allocated")
	if !portTaken(taken) || portTaken(errors.New("no such image")) {
		t.Error("told wrong")
	}
}
