package proc

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
)

// socketColumns is how many columns of /proc/net/tcp and its like are known, and that all of them have.
const socketColumns = 12

// Sockets reads /proc/net/<protocol>, for tcp, udp, udplite and raw and each of them with a 6.
func Sockets(protocol, text string) []*machine.ConnectRecord {
	var all []*machine.ConnectRecord

	for line := range strings.Lines(text) {
		if record := socket(strings.Fields(line)); record != nil {
			record.L4Proto = protocol
			all = append(all, record)
		}
	}

	return all
}

// socket reads one line; nil for one that is no socket, such as the heading.
func socket(columns []string) *machine.ConnectRecord {
	if len(columns) < socketColumns {
		return nil
	}

	local, localOK := endpoint(columns[1])
	remote, remoteOK := endpoint(columns[2])

	if !localOK || !remoteOK {
		return nil
	}

	sending, receiving, _ := strings.Cut(columns[4], ":")
	timer, when, _ := strings.Cut(columns[5], ":")

	record := &machine.ConnectRecord{
		Localip: local.Addr().String(), Localport: uint32(local.Port()),
		Remoteip: remote.Addr().String(), Remoteport: uint32(remote.Port()),
		State:   machine.ConnectRecord_State(hexadecimal(columns[3])),
		Txqueue: hexadecimal(sending), Rxqueue: hexadecimal(receiving),
		Tr: machine.ConnectRecord_TimerActive(hexadecimal(timer)), Timerwhen: hexadecimal(when),
		Retrnsmt: hexadecimal(columns[6]),
		Uid:      uint32(number(columns[7])), Timeout: number(columns[8]), Inode: number(columns[9]), Ref: number(columns[10]),
		Pointer: hexadecimal(columns[11]),
	}

	return record
}

// endpoint reads an address in hexadecimal, which the kernel writes as words in its own order of bytes, and a port.
func endpoint(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")

	raw, err := hex.DecodeString(address)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}

	for word := range slices.Chunk(raw, 4) {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}

	ip, ok := netip.AddrFromSlice(raw)

	return netip.AddrPortFrom(ip, uint16(hexadecimal(port))), ok
}

func hexadecimal(text string) uint64 {
	value, _ := strconv.ParseUint(text, 16, 64)

	return value
}
