// Command multicall is every long-lived Go program of a node in one file: the Kubernetes components, etcd,
// containerd, CoreDNS and flanneld. It runs the program that the base name of its first argument asks for, so the
// node image holds one file and a symlink per program. Linked apart, the same programs need over 300 MB instead of 185.
//
// The containerd shim and runc stay separate: there is one shim for each pod, and the package initialisers of
// everything else would cost each of them 60 ms and tens of megabytes. kubectl is not in it: nobody calls it on a node,
// and its initialisers took a third of every start and 5 MB of every process.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	_ "time/tzdata" // CronJobs name time zones; the node image has no zoneinfo.

	"github.com/containerd/containerd/v2/cmd/containerd/command"
	ctr "github.com/containerd/containerd/v2/cmd/ctr/app"
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	program, ok := programs()[filepath.Base(os.Args[0])]
	if !ok && len(os.Args) > 1 {
		os.Args = os.Args[1:]
		program, ok = programs()[filepath.Base(os.Args[0])]
	}

	if !ok {
		names := slices.Sorted(maps.Keys(programs()))
		fmt.Fprintf(os.Stderr, "multicall: no program %q; there are: %s\n", os.Args[0], strings.Join(names, ", "))
		os.Exit(2)
	}

	stop := deferCollection()
	code := program()

	stop()
	os.Exit(code)
}

// programs maps the name a program is called by to its main function, which answers the exit code.
func programs() map[string]func() int {
	return map[string]func() int{
		"bootstrap-policy":        printPolicy,
		"containerd":              runContainerd,
		"coredns":                 runCoreDNS,
		"ctr":                     runCtr,
		"etcd":                    runEtcd,
		"etcd-restore":            runRestore,
		"flanneld":                runFlanneld,
		"kube-apiserver":          component(apiserver.NewAPIServerCommand),
		"kube-controller-manager": component(controllermanager.NewControllerManagerCommand),
		"kube-proxy":              component(proxy.NewProxyCommand),
		"kube-scheduler":          component(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet":                 component(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
	}
}

func component(newCommand func() *cobra.Command) func() int {
	return func() int { return cli.Run(newCommand()) }
}

// walSegment is the size in bytes of the log files that etcd allocates ahead, two at a time. Its default of 64 MB is made
// for busy stores, and would be most of what a node writes to disk.
const walSegment = 8 << 20

func runEtcd() int {
	wal.SegmentSizeBytes = walSegment
	etcdmain.Main(os.Args)

	return 0
}

func runContainerd() int {
	return report("containerd", command.App().Run(context.Background(), os.Args))
}

func runCtr() int {
	return report("ctr", ctr.New().Run(context.Background(), os.Args))
}

func report(program string, err error) int {
	if err == nil {
		return 0
	}

	fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)

	return 1
}
