package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// capabilities are the kernel's, each at its number (linux/capability.h).
const capabilities = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`

// limits are the names that OCI gives to the lines of /proc/self/limits.
const limits = `RLIMIT_CPU=Max cpu time
RLIMIT_FSIZE=Max file size
RLIMIT_DATA=Max data size
RLIMIT_STACK=Max stack size
RLIMIT_CORE=Max core file size
RLIMIT_RSS=Max resident set
RLIMIT_NPROC=Max processes
RLIMIT_NOFILE=Max open files
RLIMIT_MEMLOCK=Max locked memory
RLIMIT_AS=Max address space
RLIMIT_LOCKS=Max file locks
RLIMIT_SIGPENDING=Max pending signals
RLIMIT_MSGQUEUE=Max msgqueue size
RLIMIT_NICE=Max nice priority
RLIMIT_RTPRIO=Max realtime priority
RLIMIT_RTTIME=Max realtime timeout`

// host is what the kernel grants to a process that this runtime starts.
type host struct {
	// Capabilities are the names in the bounding set.
	Capabilities []string
	// Limits are the hard limits that are not unlimited, by OCI's names; who may raise them has none.
	Limits map[string]uint64
	// OOMScoreAdj is the lowest value that may be asked for.
	OOMScoreAdj int
}

// observeHost reads what this process was given; the containers that runc starts get no more.
func observeHost() (host, error) {
	var texts [3]string
	for i, name := range []string{"status", "limits", "oom_score_adj"} {
		text, err := os.ReadFile("/proc/self/" + name)
		if err != nil {
			return host{}, fmt.Errorf("cannot read this process's %s: %w", name, err)
		}

		texts[i] = string(text)
	}

	return parseHost(texts[0], texts[1], texts[2])
}

// parseHost takes the texts of /proc/self/status, limits and oom_score_adj.
func parseHost(status, hardLimits, score string) (host, error) {
	held, err := boundingSet(status)
	if err != nil {
		return host{}, err
	}

	adj, err := strconv.Atoi(strings.TrimSpace(score))
	if err != nil {
		return host{}, fmt.Errorf("cannot parse the OOM score: %w", err)
	}

	for _, name := range held {
		if name == "CAP_SYS_RESOURCE" {
			return host{Capabilities: held, OOMScoreAdj: -1000}, nil
		}
	}

	return host{Capabilities: held, Limits: parseLimits(hardLimits), OOMScoreAdj: adj}, nil
}

// boundingSet names the capabilities of the CapBnd line.
func boundingSet(status string) ([]string, error) {
	_, rest, found := strings.Cut(status, "CapBnd:")
	digits, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")

	set, err := strconv.ParseUint(digits, 16, 64)
	if !found || err != nil {
		return nil, fmt.Errorf("cannot find the bounding set in the process's status")
	}

	var held []string
	for number, name := range strings.Fields(capabilities) {
		if set&(1<<number) != 0 {
			held = append(held, "CAP_"+name)
		}
	}

	return held, nil
}

// parseLimits reads the second column, the hard limits.
func parseLimits(table string) map[string]uint64 {
	hard := map[string]uint64{}
	for _, entry := range strings.Split(limits, "\n") {
		name, title, _ := strings.Cut(entry, "=")

		row := regexp.MustCompile(`(?m)^` + title + ` +\S+ +(\d+)`).FindStringSubmatch(table)
		if row == nil {
			continue
		}

		if value, err := strconv.ParseUint(row[1], 10, 64); err == nil {
			hard[name] = value
		}
	}

	return hard
}
