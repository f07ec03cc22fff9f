package docker

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
)

// isolation is how far a node's container is let loose. The zero value is --privileged, as every ordinary host can.
type isolation struct {
	// Capabilities are added one by one where the engine may not give all: its own process lacks one, and then
	// --privileged fails at start. Empty means privileged.
	Capabilities []string `json:"capabilities"`
	// AppArmor tells that the host confines containers with it.
	AppArmor bool `json:"appArmor"`
}

// apply sets what a node needs of the container's host config.
func (i isolation) apply(host *container.HostConfig) {
	host.SecurityOpt = []string{"seccomp=unconfined"}
	if len(i.Capabilities) == 0 {
		host.Privileged = true
		return
	}
	if i.AppArmor {
		host.SecurityOpt = append(host.SecurityOpt, "apparmor=unconfined")
	}
	host.CapAdd = i.Capabilities
	host.DeviceCgroupRules = []string{"a *:* rwm"}
	// Empty, not nil, is what systempaths=unconfined stands for: nil would be the engine's defaults.
	host.MaskedPaths, host.ReadonlyPaths = []string{}, []string{}
}

// without is the isolation less one capability, for an engine that does not know it.
func (i isolation) without(capability string) isolation {
	i.Capabilities = slices.DeleteFunc(slices.Clone(i.Capabilities), func(c string) bool { return c == capability })
	return i
}

// cannotPrivilege tells whether a start failed for a capability that the engine's own process does not hold.
func cannotPrivilege(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unable to apply caps")
}

// unknownCapability finds in the engine's refusal the capability that it has never heard of.
func unknownCapability(err error) (string, bool) {
	if err == nil {
		return "", false
	}
	found := regexp.MustCompile(`unknown capability: "(CAP_[A-Z0-9_]+)"`).FindStringSubmatch(err.Error())
	if found == nil {
		return "", false
	}
	return found[1], true
}

// boundingSet reads the line CapBnd of /proc/<pid>/status: what the process and those it starts can ever hold.
func boundingSet(status string) (uint64, error) {
	for line := range strings.Lines(status) {
		digits, found := strings.CutPrefix(line, "CapBnd:")
		if !found {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(digits), 16, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the bounding set: %w", err)
		}
		return set, nil
	}
	return 0, errors.New("cannot find the bounding set")
}

// lacks tells whether a set misses one of the kernel's capabilities, of which last is the highest number.
func lacks(set uint64, last int) bool {
	all := uint64(1)<<(last+1) - 1
	return set&all != all
}

// namesOf names the capabilities of a set, but for those from after this was written.
func namesOf(set uint64) []string {
	var names []string
	for bit, name := range capabilityNames() {
		if set&(1<<bit) != 0 {
			names = append(names, "CAP_"+name)
		}
	}
	return names
}

// capabilityNames are in the order of their numbers in linux/capability.h.
func capabilityNames() []string {
	return []string{
		"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
		"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
		"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
		"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
		"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
		"CHECKPOINT_RESTORE",
	}
}
