// Package sysctl sets kernel parameters of a node: those that the kernel keeps apart for each namespace, and no others,
// since a container shares the rest with its host.
package sysctl

import (
	"path/filepath"
	"strings"
)

// namespaced are the parameters of the network and IPC namespaces, by prefix
// (https://docs.kernel.org/admin-guide/sysctl, and the list of safe and unsafe sysctls of Kubernetes).
func namespaced() []string {
	return []string{"net.", "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue."}
}

// IsNodes tells whether a parameter belongs to the node alone. name reads net.ipv4.ip_forward or net/ipv4/ip_forward.
func IsNodes(name string) bool {
	path, err := pathOf(name)
	if err != nil {
		return false
	}

	dotted := strings.ReplaceAll(strings.TrimPrefix(path, root+"/"), "/", ".")

	for _, prefix := range namespaced() {
		if strings.HasPrefix(dotted, prefix) {
			return true
		}
	}

	return false
}

const root = "/proc/sys"

// pathOf answers the file of a parameter. As in sysctl(8), the first separator decides which of the two it is, and the
// other one stands for itself: net.ipv4.conf.eth0/5.forwarding is of the interface eth0.5.
func pathOf(name string) (string, error) {
	other := map[rune]rune{'.': '/', '/': '.'}

	if first := strings.IndexAny(name, "./"); first >= 0 && name[first] == '.' {
		name = strings.Map(func(r rune) rune {
			if swapped, ok := other[r]; ok {
				return swapped
			}

			return r
		}, name)
	}

	if !filepath.IsLocal(name) {
		return "", &nameError{name}
	}

	return filepath.Join(root, name), nil
}

type nameError struct{ name string }

func (e *nameError) Error() string { return "cannot take " + e.name + " for the name of a sysctl" }
