package provision

import (
	"net/netip"
	"testing"
)

func TestParsePort(t *testing.T) {
	for text, want := range map[string]Port{
		"8080:80":             {HostIP: loopback(), Host: 8080, Node: 80, Protocol: "tcp"},
		"8080:80/udp":         {HostIP: loopback(), Host: 8080, Node: 80, Protocol: "udp"},
		"0:80/tcp":            {HostIP: loopback(), Node: 80, Protocol: "tcp"},
		"0.0.0.0:8080:80":     {HostIP: netip.IPv4Unspecified(), Host: 8080, Node: 80, Protocol: "tcp"},
		"127.0.0.1:53:53/udp": {HostIP: loopback(), Host: 53, Node: 53, Protocol: "udp"},
	} {
		if got, err := ParsePort(text); err != nil || got != want {
			t.Errorf("ParsePort(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "80", "a:80", "80:0", "80:70000", "80:80/sctp", "80:80/", "host:80:80", "1:2:3:4"} {
		if got, err := ParsePort(text); err == nil {
			t.Errorf("ParsePort(%q) = %+v, want an error", text, got)
		}
	}
}

func TestParseMount(t *testing.T) {
	for text, want := range map[string]Mount{
		"type=bind,source=/a,target=/b":                {Type: MountBind, Source: "/a", Target: "/b"},
		"src=/a,dst=/b/,readonly":                      {Type: MountBind, Source: "/a", Target: "/b", ReadOnly: true},
		"type=volume,source=v,destination=/b,ro=false": {Type: MountVolume, Source: "v", Target: "/b"},
		"type=tmpfs,target=/b":                         {Type: MountTmpfs, Target: "/b"},
	} {
		if got, err := ParseMount(text); err != nil || got != want {
			t.Errorf("ParseMount(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	if got, err := ParseMount("type=bind,size=4"); err == nil {
		t.Errorf("ParseMount of an unknown key = %+v, want an error", got)
	}
}
