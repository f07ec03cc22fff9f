package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/bronze-os/bronze/test/need"
)

func TestFileHeaderIsPcap(t *testing.T) {
	want := []byte{
		0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 101, 0, 0, 0,
	}
	if diff := cmp.Diff(want, fileHeader(64, linkType(unix.ARPHRD_NONE))); diff != "" {
		t.Error(diff)
	}
}

// onlyPort lets UDP packets for one port through, of Ethernet and IPv4 without options.
func onlyPort(port uint16) []unix.SockFilter {
	const loadHalf, jumpEqual, ret = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K

	return []unix.SockFilter{
		{Code: loadHalf, K: 12},
		{Code: jumpEqual, K: unix.ETH_P_IP, Jf: 3},
		{Code: loadHalf, K: 14 + 20 + 2},
		{Code: jumpEqual, K: uint32(port), Jf: 1},
		{Code: ret, K: DefaultSnapLength},
		{Code: ret, K: 0},
	}
}

func TestRunWritesThePacketsThatPassTheFilter(t *testing.T) {
	receiver, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()

	port := receiver.LocalAddr().(*net.UDPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)

	defer cancel()

	reader, writer := io.Pipe()
	ended := make(chan error, 1)

	go func() {
		ended <- Run(ctx, Options{Interface: "lo", SnapLength: 60, Filter: onlyPort(uint16(port))}, writer)
		writer.Close()
	}()

	header := make([]byte, headerLength)
	if _, err := io.ReadFull(reader, header); errors.Is(err, io.EOF) {
		failed := <-ended
		if errors.Is(failed, unix.EPERM) {
			need.Missing(t, "packet sockets are not for this user")
		}

		t.Fatal(failed)
	}

	// Twice as long as what is kept of it.
	if _, err := receiver.WriteTo(bytes.Repeat([]byte("y"), 100), receiver.LocalAddr()); err != nil {
		t.Fatal(err)
	}

	record := make([]byte, recordHeader+60)
	if _, err := io.ReadFull(reader, record); err != nil {
		t.Fatal(err)
	}

	kept, length := binary.LittleEndian.Uint32(record[8:]), binary.LittleEndian.Uint32(record[12:])
	if kept != 60 || length != 14+20+8+100 || record[recordHeader+42] != 'y' {
		t.Errorf("kept %d of %d: %x", kept, length, record)
	}

	// The reader goes on, as loopback shows a packet twice.
	go func() { _, _ = io.Copy(io.Discard, reader) }()

	cancel()

	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		want    error
	}{
		{"no interface", Options{Interface: "none0"}, ErrNoInterface},
		{"half a program", Options{Interface: "lo", Filter: []unix.SockFilter{{Code: unix.BPF_LD}}}, ErrBadFilter},
		{"too long a program", Options{Interface: "lo", Filter: make([]unix.SockFilter, 5000)}, ErrBadFilter},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Run(t.Context(), test.options, io.Discard)
			if errors.Is(err, unix.EPERM) {
				need.Missing(t, "packet sockets are not for this user")
			}

			if !errors.Is(err, test.want) {
				t.Error(err)
			}
		})
	}
}
