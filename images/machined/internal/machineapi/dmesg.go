package machineapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/common"
	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	kernelLog = "/dev/kmsg"
	// recordSize is the kernel's limit of one record, in bytes.
	recordSize = 8 << 10
)

// Dmesg is part of machine.MachineServiceServer. Each message is one line of the kernel's log.
func (s *server) Dmesg(request *machine.DmesgRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	// Without blocking, the end of the log is told apart from a quiet kernel.
	fd, err := unix.Open(kernelLog, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return status.Errorf(codes.Unavailable, "cannot open the kernel's log: %v", err)
	}
	defer unix.Close(fd)

	if request.Tail {
		// To kmsg, an offset of 0 from the end is the place after the last record.
		if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
			return status.Errorf(codes.Internal, "cannot go to the end of the kernel's log: %v", err)
		}
	}

	boot, err := bootTime()
	if err != nil {
		return status.Error(codes.Internal, err.Error())
	}

	return eachRecord(stream.Context(), fd, request.Follow, func(record string) error {
		return stream.Send(&common.Data{Bytes: []byte(kernelLine(record, boot))})
	})
}

// eachRecord reads records until the end of the log, or, when it follows, until ctx ends.
func eachRecord(ctx context.Context, fd int, follow bool, yield func(string) error) error {
	ticker := time.NewTicker(followPause)
	defer ticker.Stop()

	buffer := make([]byte, recordSize)

	for {
		n, err := unix.Read(fd, buffer)

		switch {
		case errors.Is(err, unix.EPIPE), errors.Is(err, unix.EINTR):
			// The record was overwritten before it was read; the next read goes on at the oldest.
			continue
		case errors.Is(err, unix.EAGAIN) && !follow:
			return nil
		case errors.Is(err, unix.EAGAIN):
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
				return nil
			}
		case err != nil:
			return status.Errorf(codes.Internal, "cannot read the kernel's log: %v", err)
		}

		if err := yield(string(buffer[:n])); err != nil {
			return err
		}
	}
}

func bootTime() (time.Time, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return time.Time{}, fmt.Errorf("cannot read the clock: %w", err)
	}

	return time.Now().Add(-time.Duration(now.Nano())), nil
}

// kernelLine makes a line out of a record: "priority,sequence,microseconds,flags;text", then lines of properties.
func kernelLine(record string, boot time.Time) string {
	head, text, _ := strings.Cut(record, ";")
	text, _, _ = strings.Cut(text, "\n")
	fields := strings.Split(head, ",")

	if len(fields) < 3 {
		return text + "\n"
	}

	priority, _ := strconv.Atoi(fields[0])
	microseconds, _ := strconv.ParseInt(fields[2], 10, 64)
	at := boot.Add(time.Duration(microseconds) * time.Microsecond)

	return fmt.Sprintf("%s: %7s: [%s]: %s\n", facility(priority>>3), level(priority&7), at.UTC().Format(time.RFC3339Nano), text)
}

func facility(number int) string {
	if number == 0 {
		return "kern"
	}

	return "user"
}

func level(number int) string {
	return []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}[number]
}
