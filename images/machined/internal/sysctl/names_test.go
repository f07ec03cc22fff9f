package sysctl

import "testing"

func TestOnlyParametersOfTheNodesNamespacesAreTheNodes(t *testing.T) {
	for name, want := range map[string]bool{
		"net.ipv4.ip_forward":         true,
		"net/ipv4/ip_forward":         true,
		"net.core.somaxconn":          true,
		"kernel.shmmax":               true,
		"kernel.msgmnb":               true,
		"kernel.sem":                  true,
		"fs.mqueue.msg_max":           true,
		"fs.inotify.max_user_watches": false,
		"kernel.panic":                false,
		"vm.max_map_count":            false,
		"networks.none":               false,
		"net/../vm/overcommit_memory": false,
		"net.//.vm.overcommit_memory": false,
		"/net/ipv4/ip_forward":        false,
		"../net":                      false,
		"":                            false,
	} {
		t.Run(name, func(t *testing.T) {
			if got := IsNodes(name); got != want {
				t.Errorf("IsNodes = %t", got)
			}
		})
	}
}

func TestSecondSeparatorStandsForItself(t *testing.T) {
	for name, want := range map[string]string{
		"net.ipv4.conf.eth0/5.forwarding": "/proc/sys/net/ipv4/conf/eth0.5/forwarding",
		"net/ipv4/conf/eth0.5/forwarding": "/proc/sys/net/ipv4/conf/eth0.5/forwarding",
	} {
		if got, err := pathOf(name); err != nil || got != want {
			t.Errorf("pathOf(%q) = %q, %v", name, got, err)
		}
	}
}
