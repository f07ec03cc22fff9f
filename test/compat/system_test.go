//go:build e2e

package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/siderolabs/talos/pkg/machinery/client"
	"google.golang.org/protobuf/types/known/emptypb"
)

func systemLines() []line {
	return []line{
		{name: "version", talosctl: []string{"version"}, do: version},
		{name: "hostname", do: hostname},
		{name: "memory", talosctl: []string{"memory"}, do: memory},
		{name: "cpu", do: cpu},
		{name: "load and statistics", do: statistics},
		{name: "processes", talosctl: []string{"processes"}, do: processes},
		{name: "mounts", talosctl: []string{"mounts"}, do: mounts},
		{name: "network devices", do: networkDevices},
		{name: "netstat", talosctl: []string{"netstat", "-a"}, do: netstat},
		{name: "packet capture", do: packetCapture},
		{name: "disks", talosctl: []string{"get", "disks"}, do: disks},
		{name: "time", talosctl: []string{"time", "--check", "127.0.0.1"}, refused: true, do: times},
		{name: "controllers", talosctl: []string{"inspect", "dependencies"}, do: controllers},
		{name: "dmesg", talosctl: []string{"dmesg"}, do: dmesg},
		{name: "events", talosctl: []string{"events", "--tail", "5", "--duration", "1s"}, do: events},
	}
}

// one answers the only message of an answer.
func one[M any](messages []M, err error) (M, error) {
	var none M

	if err != nil {
		return none, err
	}

	if len(messages) != 1 {
		return none, fmt.Errorf("there are %d messages, want 1", len(messages))
	}

	return messages[0], nil
}

// want is an error when holds is false.
func want(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}

	return fmt.Errorf(format, args...)
}

func version(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Version(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	return want(strings.HasPrefix(got.GetVersion().GetTag(), "v") && got.GetPlatform().GetName() == "container",
		"version %q on platform %q", got.GetVersion().GetTag(), got.GetPlatform().GetName())
}

func hostname(ctx context.Context, c *cluster, node string) error {
	answer, err := c.client.MachineClient.Hostname(ctx, &emptypb.Empty{})

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	return want(got.GetHostname() == c.names[node], "the host name is %q, and Kubernetes' %q", got.GetHostname(), c.names[node])
}

func memory(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Memory(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	total, available := got.GetMeminfo().GetMemtotal(), got.GetMeminfo().GetMemavailable()

	return want(total > 0 && available > 0 && available <= total, "%d kB of %d kB are available", available, total)
}

func cpu(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.MachineClient.CPUInfo(ctx, &emptypb.Empty{})

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	// A host tells of frequencies or does not; the call has to work.
	_, err = c.client.MachineClient.CPUFreqStats(ctx, &emptypb.Empty{})

	return errors.Join(err, want(len(got.GetCpuInfo()) > 0, "there is no processor"))
}

func statistics(ctx context.Context, c *cluster, _ string) error {
	loads, err := c.client.MachineClient.LoadAvg(ctx, &emptypb.Empty{})

	load, err := one(loads.GetMessages(), err)
	if err != nil {
		return err
	}

	stats, err := c.client.MachineClient.SystemStat(ctx, &emptypb.Empty{})

	stat, err := one(stats.GetMessages(), err)
	if err != nil {
		return err
	}

	disks, err := c.client.MachineClient.DiskStats(ctx, &emptypb.Empty{})
	_, err = one(disks.GetMessages(), err)

	return errors.Join(err,
		want(load.GetLoad15() > 0, "the load is %v", load),
		want(stat.GetBootTime() > 0 && stat.GetCpuTotal().GetUser() > 0, "the statistics are %v", stat))
}

func processes(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Processes(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	commands := map[int32]string{}
	for _, process := range got.GetProcesses() {
		commands[process.GetPid()] = process.GetCommand() + " " + process.GetExecutable() + " " + process.GetArgs()
	}

	all := fmt.Sprint(commands)

	return want(strings.Contains(commands[1], "/sbin/init") && strings.Contains(all, "kubelet") && strings.Contains(all, "containerd"),
		"the processes are %s", all)
}

func mounts(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Mounts(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	for _, mount := range got.GetStats() {
		if mount.GetMountedOn() == "/var" {
			return want(mount.GetSize() > 0 && mount.GetAvailable() > 0, "/var is %v", mount)
		}
	}

	return fmt.Errorf("there is no /var among %d mounts", len(got.GetStats()))
}

func networkDevices(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.MachineClient.NetworkDeviceStats(ctx, &emptypb.Empty{})

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	for _, device := range got.GetDevices() {
		if device.GetName() == "eth0" {
			return want(device.GetRxBytes() > 0 && device.GetTxBytes() > 0, "eth0 is %v", device)
		}
	}

	return errors.New("there is no eth0")
}

func netstat(ctx context.Context, c *cluster, _ string) error {
	yes := &machine.NetstatRequest_L4Proto{Tcp: true, Tcp6: true, Udp: true, Udp6: true}

	answer, err := c.client.Netstat(ctx, &machine.NetstatRequest{
		Filter: machine.NetstatRequest_LISTENING, L4Proto: yes,
		Feature: &machine.NetstatRequest_Feature{Pid: true}, Netns: &machine.NetstatRequest_NetNS{Hostnetwork: true},
	})

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	for _, record := range got.GetConnectrecord() {
		if record.GetLocalport() == 50000 {
			return want(record.GetState() == machine.ConnectRecord_LISTEN && record.GetProcess().GetPid() == 1, "apid's socket is %v", record)
		}
	}

	return fmt.Errorf("of %d sockets none is the machine API's", len(got.GetConnectrecord()))
}

// pcapMagic begins a capture file with microseconds, in the writer's byte order.
const pcapMagic = 0xa1b2c3d4

func packetCapture(ctx context.Context, c *cluster, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()

	reader, err := c.client.PacketCapture(ctx, &machine.PacketCaptureRequest{Interface: "eth0", SnapLen: 65535})
	if err != nil {
		return err
	}
	defer reader.Close()

	// A header of 24 bytes, and the head of a first packet: the call's own traffic is some.
	head := make([]byte, 24+16)
	if _, err := io.ReadFull(reader, head); err != nil {
		return fmt.Errorf("reading the capture: %w", err)
	}

	magic := uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16 | uint32(head[3])<<24

	return want(magic == pcapMagic, "the capture begins with %#x", magic)
}

func disks(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Disks(ctx)
	_, err = one(answer.GetMessages(), err)

	return err
}

// times asks the node itself for the time by NTP, where nobody serves that: an error is the honest answer.
func times(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.TimeCheck(ctx, "127.0.0.1")
	if err == nil {
		return fmt.Errorf("nobody serves NTP, and the answer is %v", answer)
	}

	// Without a server the node asks the one of its config, which no test machine reaches.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	_, err = c.client.Time(ctx)

	return want(client.StatusCode(err) != 0 || err == nil, "the answer is %v", err)
}

func controllers(ctx context.Context, c *cluster, _ string) error {
	answer, err := c.client.Inspect.ControllerRuntimeDependencies(ctx)

	got, err := one(answer.GetMessages(), err)
	if err != nil {
		return err
	}

	return want(len(got.GetEdges()) > 0, "no controller depends on anything")
}

func dmesg(ctx context.Context, c *cluster, _ string) error {
	stream, err := c.client.Dmesg(ctx, false, false)
	if err != nil {
		return err
	}

	text, err := readStream(stream)

	return errors.Join(err, want(strings.Contains(text, "\n"), "the kernel's log is %q", text))
}

func readStream(stream client.MachineStream) (string, error) {
	reader, err := client.ReadStream(stream)
	if err != nil {
		return "", err
	}
	defer reader.Close()

	all, err := io.ReadAll(reader)

	return string(all), err
}

// events wants the boot to be among what happened, ended and without an error.
func events(ctx context.Context, c *cluster, _ string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()

	found := make(chan struct{})

	err := c.client.EventsWatch(ctx, func(events <-chan client.Event) {
		for event := range events {
			sequence, ok := event.Payload.(*machine.SequenceEvent)
			if ok && sequence.GetSequence() == "boot" && sequence.GetAction() == machine.SequenceEvent_STOP && sequence.GetError() == nil {
				close(found)
				cancel()

				return
			}
		}
	}, client.WithTailEvents(-1))

	select {
	case <-found:
		return nil
	default:
		return fmt.Errorf("no event says that the boot ended: %w", err)
	}
}
