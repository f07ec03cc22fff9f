package machineapi

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/bronze-os/bronze/images/machined/internal/machineapi/proc"
)

// networkNamespaces is where the CNI keeps the network namespaces of pods, by name.
const networkNamespaces = "/var/run/netns"

// Netstat is part of machine.MachineServiceServer.
func (s *server) Netstat(ctx context.Context, request *machine.NetstatRequest) (*machine.NetstatResponse, error) {
	processes, err := processIDs()
	if err != nil {
		return nil, err
	}

	networks, err := networksOf(request.GetNetns(), processes)
	if err != nil {
		return nil, err
	}

	answer := &machine.Netstat{}

	for _, network := range networks {
		if err := ctx.Err(); err != nil {
			return nil, status.FromContextError(err).Err()
		}

		for _, protocol := range protocols(request.GetL4Proto()) {
			answer.Connectrecord = append(answer.Connectrecord, network.sockets(protocol, request.Filter)...)
		}
	}

	if request.GetFeature().GetPid() {
		nameProcesses(answer.Connectrecord, processes)
	}

	return &machine.NetstatResponse{Messages: []*machine.Netstat{answer}}, nil
}

// network is a network namespace, seen through a process in it.
type network struct {
	// name is empty for the node's own.
	name string
	pid  string
}

// networksOf finds the namespaces that a request is about; without any it is the node's own.
func networksOf(want *machine.NetstatRequest_NetNS, processes []string) ([]network, error) {
	var networks []network

	if want.GetHostnetwork() || !want.GetAllnetns() && len(want.GetNetns()) == 0 {
		networks = append(networks, network{pid: "self"})
	}

	names := want.GetNetns()

	if want.GetAllnetns() {
		entries, err := os.ReadDir(networkNamespaces)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, status.Errorf(codes.Internal, "cannot list network namespaces: %v", err)
		}

		names = nil
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
	}

	members := membersOfNetworks(names, processes)

	for _, name := range names {
		pid, ok := members[name]
		if !ok && !want.GetAllnetns() {
			return nil, status.Errorf(codes.NotFound, "no process is in a network namespace %q", name)
		}

		if ok {
			networks = append(networks, network{name: name, pid: pid})
		}
	}

	return networks, nil
}

// membersOfNetworks finds a process in each of the named namespaces: through it one can look inside without entering.
func membersOfNetworks(names, processes []string) map[string]string {
	inodes := map[uint64]string{}

	for _, name := range names {
		// The name comes from the caller and must not lead elsewhere.
		if inode, ok := inodeOf(filepath.Join(networkNamespaces, filepath.Base(name))); ok {
			inodes[inode] = name
		}
	}

	members := map[string]string{}

	for _, pid := range processes {
		if inode, ok := inodeOf("/proc/" + pid + "/ns/net"); ok {
			if name, ok := inodes[inode]; ok {
				members[name] = pid
			}
		}
	}

	return members
}

func inodeOf(path string) (uint64, bool) {
	var stat syscall.Stat_t
	if syscall.Stat(path, &stat) != nil {
		return 0, false
	}

	return stat.Ino, true
}

// protocols are the names of the kernel's tables for those that are wanted; none are all.
func protocols(want *machine.NetstatRequest_L4Proto) []string {
	all := []struct {
		wanted bool
		name   string
	}{
		{want.GetTcp(), "tcp"}, {want.GetTcp6(), "tcp6"}, {want.GetUdp(), "udp"}, {want.GetUdp6(), "udp6"},
		{want.GetUdplite(), "udplite"}, {want.GetUdplite6(), "udplite6"}, {want.GetRaw(), "raw"}, {want.GetRaw6(), "raw6"},
	}

	var names, wanted []string

	for _, one := range all {
		names = append(names, one.name)

		if one.wanted {
			wanted = append(wanted, one.name)
		}
	}

	if len(wanted) == 0 {
		return names
	}

	return wanted
}

// sockets reads one table. A kernel without the protocol, such as IPv6, has none.
func (n network) sockets(protocol string, filter machine.NetstatRequest_Filter) []*machine.ConnectRecord {
	text, err := os.ReadFile("/proc/" + n.pid + "/net/" + protocol)
	if err != nil {
		return nil
	}

	var wanted []*machine.ConnectRecord

	for _, record := range proc.Sockets(protocol, string(text)) {
		record.Netns = n.name
		connected := record.Remoteport != 0

		if filter == machine.NetstatRequest_ALL || connected == (filter == machine.NetstatRequest_CONNECTED) {
			wanted = append(wanted, record)
		}
	}

	return wanted
}

// nameProcesses finds whose the sockets are: each process has links to its own by their inodes.
func nameProcesses(records []*machine.ConnectRecord, processes []string) {
	byInode := map[uint64][]*machine.ConnectRecord{}

	for _, record := range records {
		if record.Inode != 0 {
			byInode[record.Inode] = append(byInode[record.Inode], record)
		}
	}

	for _, pid := range processes {
		for _, inode := range socketsOf(pid) {
			for _, record := range byInode[inode] {
				record.Process = processOf(pid)
			}
		}
	}
}

func processOf(pid string) *machine.ConnectRecord_Process {
	number, _ := strconv.ParseUint(pid, 10, 32)
	// A process that has ended meanwhile has no name.
	name, _ := os.ReadFile("/proc/" + pid + "/comm")

	return &machine.ConnectRecord_Process{Pid: uint32(number), Name: strings.TrimSpace(string(name))}
}

// socketsOf are the inodes of a process's sockets.
func socketsOf(pid string) []uint64 {
	directory := "/proc/" + pid + "/fd"

	open, err := os.Open(directory)
	if err != nil {
		return nil
	}
	defer open.Close()

	// Of a process that ends meanwhile, some will do.
	names, _ := open.Readdirnames(-1)

	var inodes []uint64

	for _, name := range names {
		link, err := os.Readlink(directory + "/" + name)
		if inode, ok := strings.CutPrefix(link, "socket:["); ok && err == nil {
			number, _ := strconv.ParseUint(strings.TrimSuffix(inode, "]"), 10, 64)
			inodes = append(inodes, number)
		}
	}

	return inodes
}

// processIDs are all processes that the node sees.
func processIDs() ([]string, error) {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot list processes: %v", err)
	}
	defer directory.Close()

	names, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "cannot list processes: %v", err)
	}

	var processes []string

	for _, name := range names {
		if strings.Trim(name, "0123456789") == "" {
			processes = append(processes, name)
		}
	}

	return processes, nil
}
