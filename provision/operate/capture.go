package operate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/siderolabs/talos/pkg/machinery/client"
)

// Capture writes the packets of a network interface of the one node to w, in the form of pcap, until the context ends or
// the time is over; 0 is no limit.
func (f *Fleet) Capture(ctx context.Context, request *machine.PacketCaptureRequest, limit time.Duration, w io.Writer) error {
	n, err := f.one("capture packets")
	if err != nil {
		return err
	}
	capturing, cancel := context.WithCancel(ctx)
	defer cancel()
	if limit > 0 {
		capturing, cancel = context.WithTimeout(capturing, limit)
		defer cancel()
	}
	packets, err := n.client.PacketCapture(n.to(capturing), request)
	if err != nil {
		return fmt.Errorf("node %s: %w", n.name, explain(err))
	}
	defer packets.Close()
	_, err = io.Copy(w, packets)
	ended := status.Code(err) == codes.DeadlineExceeded || client.StatusCode(err) == codes.Canceled
	if err == nil || capturing.Err() != nil && (ended || errors.Is(err, capturing.Err())) {
		return nil
	}
	return fmt.Errorf("node %s: %w", n.name, explain(err))
}

// ParseFilter reads a packet filter as `tcpdump -dd` prints it: a line {code, jt, jf, k} for each instruction.
func ParseFilter(text string) ([]*machine.BPFInstruction, error) {
	var filter []*machine.BPFInstruction
	for scanner := bufio.NewScanner(strings.NewReader(text)); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		if line == "" {
			continue
		}
		var op, jt, jf, k uint32
		if n, err := fmt.Sscanf(line, "{ %v, %v, %v, %v },", &op, &jt, &jf, &k); n != 4 {
			return nil, fmt.Errorf("cannot read %q as an instruction of tcpdump -dd: %w", line, err)
		}
		filter = append(filter, &machine.BPFInstruction{Op: op, Jt: jt, Jf: jf, K: k})
	}
	return filter, nil
}
