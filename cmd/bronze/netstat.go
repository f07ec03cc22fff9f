package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/siderolabs/talos/pkg/machinery/api/machine"
	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/provision/operate"
)

// netstatOptions say which sockets are shown, and what of them.
type netstatOptions struct {
	nodeOptions
	form                                        form
	all, listening, extend, programs, pods      bool
	tcp, udp, udpLite, raw, ipv4, ipv6, verbose bool
	timers                                      bool
}

func newNetstat(a *app) *cobra.Command {
	o := &netstatOptions{nodeOptions: nodeOptions{app: a}}
	cmd := &cobra.Command{
		Use:   "netstat [NAMESPACE/POD]",
		Short: "List the sockets of nodes or of a pod",
		Example: `  bronze netstat -l -t -p
  bronze netstat kube-system/coredns-7d4f`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	o.form = formTable
	flags.Var(&o.form, "output", "form of the answer: table, json or yaml")
	for _, flag := range []struct {
		set               *bool
		name, short, what string
	}{
		{&o.all, "all", "a", "sockets of every state (default connected ones)"},
		{&o.listening, "listening", "l", "sockets that listen"},
		{&o.extend, "extend", "x", "show users and inodes too"},
		{&o.programs, "programs", "p", "show processes too"},
		{&o.pods, "pods", "k", "sockets of pods too"},
		{&o.timers, "timers", "o", "show timers too"},
		{&o.tcp, "tcp", "t", "TCP only"},
		{&o.udp, "udp", "u", "UDP only"},
		{&o.udpLite, "udplite", "U", "UDPLite only"},
		{&o.raw, "raw", "w", "raw sockets only"},
		{&o.ipv4, "ipv4", "4", "IPv4 only"},
		{&o.ipv6, "ipv6", "6", "IPv6 only"},
		{&o.verbose, "verbose", "v", "every transport protocol (default TCP and UDP)"},
	} {
		flags.BoolVarP(flag.set, flag.name, flag.short, false, flag.what)
	}
	return nodeCommand(&o.nodeOptions, cmd, func(ctx context.Context, args []string) error {
		request := o.request(args)
		return o.on(func(fleet *operate.Fleet) error {
			answers, err := fleet.Netstat(ctx, request)
			if len(answers) == 0 {
				return err
			}
			if printing := printAnswers(a, o.form, answers, o.heading(), o.rows); printing != nil {
				return printing
			}
			return err
		})
	})
}

func (o *netstatOptions) request(args []string) *machine.NetstatRequest {
	request := &machine.NetstatRequest{
		Filter:  machine.NetstatRequest_CONNECTED,
		Feature: &machine.NetstatRequest_Feature{Pid: o.programs},
		L4Proto: o.protocols(),
		Netns:   &machine.NetstatRequest_NetNS{Hostnetwork: len(args) == 0, Allnetns: o.pods, Netns: args},
	}
	switch {
	case o.all:
		request.Filter = machine.NetstatRequest_ALL
	case o.listening:
		request.Filter = machine.NetstatRequest_LISTENING
	}
	return request
}

// protocols are those that are asked for, each in both address families unless one is asked for.
func (o *netstatOptions) protocols() *machine.NetstatRequest_L4Proto {
	some := o.tcp || o.udp || o.udpLite || o.raw
	tcp, udp := o.tcp || !some || o.verbose, o.udp || !some || o.verbose
	udpLite, raw := o.udpLite || o.verbose, o.raw || o.verbose
	four, six := o.ipv4 || !o.ipv6, o.ipv6 || !o.ipv4
	return &machine.NetstatRequest_L4Proto{
		Tcp: tcp && four, Tcp6: tcp && six, Udp: udp && four, Udp6: udp && six,
		Udplite: udpLite && four, Udplite6: udpLite && six, Raw: raw && four, Raw6: raw && six,
	}
}

func (o *netstatOptions) heading() []string {
	heading := []string{"PROTO", "RECV-Q", "SEND-Q", "LOCAL ADDRESS", "FOREIGN ADDRESS", "STATE"}
	for _, more := range []struct {
		shown bool
		names []string
	}{
		{o.extend, []string{"UID", "INODE"}}, {o.programs, []string{"PID/PROGRAM NAME"}},
		{o.pods, []string{"POD"}}, {o.timers, []string{"TIMER"}},
	} {
		if more.shown {
			heading = append(heading, more.names...)
		}
	}
	return heading
}

func (o *netstatOptions) rows(netstat *machine.Netstat) [][]string {
	var rows [][]string
	for _, socket := range netstat.GetConnectrecord() {
		state := socket.GetState().String()
		if strings.HasPrefix(socket.GetL4Proto(), "udp") && socket.GetState() == machine.ConnectRecord_CLOSE {
			// Such is the state of every UDP socket that is not connected.
			state = ""
		}
		row := []string{
			socket.GetL4Proto(), fmt.Sprint(socket.GetRxqueue()), fmt.Sprint(socket.GetTxqueue()),
			socketAddress(socket.GetLocalip(), socket.GetLocalport()), socketAddress(socket.GetRemoteip(), socket.GetRemoteport()), state,
		}
		if o.extend {
			row = append(row, fmt.Sprint(socket.GetUid()), fmt.Sprint(socket.GetInode()))
		}
		if o.programs {
			row = append(row, program(socket.GetProcess()))
		}
		if o.pods {
			row = append(row, orDash(socket.GetNetns()))
		}
		if o.timers {
			row = append(row, fmt.Sprintf("%s (%d/%d/%d)", strings.ToLower(socket.GetTr().String()), socket.GetTimerwhen(), socket.GetRetrnsmt(), socket.GetTimeout()))
		}
		rows = append(rows, row)
	}
	return rows
}

// socketAddress shows port 0, which is none, as a star.
func socketAddress(ip string, port uint32) string {
	if port == 0 {
		return net.JoinHostPort(ip, "*")
	}
	return net.JoinHostPort(ip, fmt.Sprint(port))
}

func program(process *machine.ConnectRecord_Process) string {
	if process.GetPid() == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%s", process.GetPid(), process.GetName())
}
