// Package capture reads the packets of a network interface and writes them as a pcap file, for the machine API. It imports
// the standard library and x/sys only.
package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultSnapLength is how many bytes of a packet are kept unless a caller says otherwise, and the most there are; it is
// tcpdump's.
const DefaultSnapLength = 262144

// filterLimit is how many instructions the kernel takes, its BPF_MAXINSNS.
const filterLimit = 4096

// The errors that tell a caller what is wrong with its options.
var (
	ErrNoInterface = errors.New("no such interface")
	ErrBadFilter   = errors.New("the kernel refuses the BPF filter")
)

// Options tell what to capture.
type Options struct {
	Interface string
	// Promiscuous sees packets that are for others too.
	Promiscuous bool
	// SnapLength is how many bytes of each packet are kept; 0 means DefaultSnapLength.
	SnapLength int
	// Filter is a classic BPF program; empty lets all packets through.
	Filter []unix.SockFilter
}

// Run writes what the interface sends and receives to output, beginning with the header of a pcap file, until ctx ends. It
// starts to write once it captures. Packets that output is too slow for are lost in the kernel.
func Run(ctx context.Context, options Options, output io.Writer) error {
	if options.SnapLength <= 0 || options.SnapLength > DefaultSnapLength {
		options.SnapLength = DefaultSnapLength
	}

	socket, link, err := open(options)
	if err != nil {
		return err
	}
	defer socket.Close()

	// Closing wakes the read that waits.
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	defer stop()

	if _, err := output.Write(fileHeader(options.SnapLength, link)); err != nil {
		return err
	}

	return copyPackets(ctx, socket, options.SnapLength, output)
}

// open makes a packet socket of the interface, and tells its link type.
func open(options Options) (*os.File, uint32, error) {
	device, err := net.InterfaceByName(options.Interface)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %q", ErrNoInterface, options.Interface)
	}

	// Without a protocol nothing arrives before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot open a packet socket: %w", err)
	}

	link, err := configure(fd, device.Index, options)
	if err != nil {
		unix.Close(fd)
		return nil, 0, err
	}

	return os.NewFile(uintptr(fd), "packets of "+options.Interface), link, nil
}

func configure(fd, index int, options Options) (uint32, error) {
	if err := attach(fd, options.Filter); err != nil {
		return 0, err
	}

	if options.Promiscuous {
		request := unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &request); err != nil {
			return 0, fmt.Errorf("cannot see the packets of others: %w", err)
		}
	}

	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return 0, fmt.Errorf("cannot listen at %s: %w", options.Interface, err)
	}

	bound, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("cannot tell the kind of %s: %w", options.Interface, err)
	}

	kind, _ := bound.(*unix.SockaddrLinklayer)

	return linkType(kind.Hatype), nil
}

func attach(fd int, filter []unix.SockFilter) error {
	if len(filter) == 0 {
		return nil
	}

	if len(filter) > filterLimit {
		return fmt.Errorf("%w: it has more than %d instructions", ErrBadFilter, filterLimit)
	}

	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program); err != nil {
		return fmt.Errorf("%w: %w", ErrBadFilter, err)
	}

	return nil
}

// copyPackets writes one record for each packet. Each is written at once, so that whoever looks sees it.
func copyPackets(ctx context.Context, socket *os.File, snap int, output io.Writer) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot read packets: %w", err)
	}

	buffer := make([]byte, recordHeader+snap)

	for ctx.Err() == nil {
		length, err := receive(raw, buffer[recordHeader:])
		if errors.Is(err, unix.ENETDOWN) || errors.Is(err, os.ErrClosed) {
			// An interface may come up again; the end of ctx closes the socket.
			continue
		}

		if err != nil {
			return fmt.Errorf("cannot read packets: %w", err)
		}

		kept := min(length, snap)
		putRecordHeader(buffer, time.Now(), kept, length)

		if _, err := output.Write(buffer[:recordHeader+kept]); err != nil {
			return err
		}
	}

	return nil
}

// receive reads one packet, and answers how long it is, which may be more than fits.
func receive(raw interface {
	Read(func(fd uintptr) bool) error
}, packet []byte) (int, error) {
	var (
		length int
		failed error
	)

	err := raw.Read(func(fd uintptr) bool {
		length, _, failed = unix.Recvfrom(int(fd), packet, unix.MSG_TRUNC)
		return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
	})

	return length, errors.Join(err, failed)
}

// networkOrder is what the kernel wants protocols in.
func networkOrder(protocol uint16) uint16 {
	var bytes [2]byte
	binary.BigEndian.PutUint16(bytes[:], protocol)

	return binary.NativeEndian.Uint16(bytes[:])
}
