package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/bronze-os/bronze/images/node"
	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/drill"
	drillreport "github.com/bronze-os/bronze/provision/drill/report"
	"github.com/bronze-os/bronze/provision/drill/site"
)

func newDrill(a *app) *cobra.Command {
	return parent("drill", "Rehearse disasters, and measure how a cluster gets over them", newDrillList(a), newDrillRun(a))
}

func newDrillList(a *app) *cobra.Command {
	var form form
	cmd := &cobra.Command{
		Use: "list", Short: "List the drills, what each rehearses and what it needs", Args: none,
		RunE: func(*cobra.Command, []string) error {
			return form.print(a.stdout, drillList(), func() [][]string {
				rows := [][]string{{"NAME", "WHAT IF", "CURE", "NEEDS"}}
				for _, one := range drillList() {
					rows = append(rows, []string{one.Name, one.Rehearses, string(one.Cure), one.Needs})
				}
				return rows
			})
		},
	}
	addForm(cmd, &form)
	return cmd
}

// listedDrill is a drill as the list tells of it.
type listedDrill struct {
	Name      string     `json:"name"`
	Rehearses string     `json:"rehearses"`
	Act       drill.Act  `json:"act"`
	Whom      drill.Whom `json:"whom"`
	Cure      drill.Cure `json:"cure"`
	Needs     string     `json:"needs"`
	MustHold  []string   `json:"mustHold"`
}

func drillList() []listedDrill {
	var list []listedDrill
	for _, one := range drill.Catalog() {
		list = append(list, listedDrill{one.Name, one.Rehearses, one.Act, one.Whom, one.Cure, one.Needs.String(), one.Held()})
	}
	return list
}

type drillOptions struct {
	*app
	cluster string
	all     bool
	keep    bool
	dir     string
	restart string
	image   string
	form    form
	// program is this one's path, contexts a directory for what processes of it write about throw-away clusters.
	program, contexts string
}

func newDrillRun(a *app) *cobra.Command {
	options := &drillOptions{app: a}
	cmd := &cobra.Command{
		Use:   "run NAME... | --all",
		Short: "Run drills one after the other, and write a report",
		Long: `Run does harm to a cluster as each named drill says, under a canary of pods with data and a stream of writes
through the Kubernetes API, cures it, measures, and puts everything back, also after Ctrl-C. A drill passes when
all holds that must.

Without --cluster it makes throw-away clusters that fit, and destroys them in the end. On a cluster of yours a
drill that does not fit is refused, or with --all skipped with the reason. A drill that deletes nodes with their
volumes leaves others in their place.`,
		Example: `  bronze drill run rm-worker
  bronze drill run --all --report drills
  bronze drill run pause-leader kill-etcd --cluster ha
  bronze drill run engine-restart --engine-restart 'systemctl restart docker'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			drills, err := options.chosen(cmd, args)
			if err != nil {
				return err
			}
			return options.run(cmd.Context(), drills)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.cluster, "cluster", "", "drill on this cluster instead of throw-away ones")
	flags.BoolVar(&options.all, "all", false, "run every drill that can be run")
	flags.BoolVar(&options.keep, "keep", false, "leave throw-away clusters for a look at them")
	flags.StringVar(&options.dir, "report", "drill-report", "directory for report.html, junit.xml and report.json; empty for none")
	flags.StringVar(&options.restart, "engine-restart", "", "shell command that restarts the engine, for the drill of that name")
	flags.StringVar(&options.image, "image", "", "node image of throw-away clusters (default the one of this version)")
	addForm(cmd, &options.form)
	return cmd
}

// chosen are the drills that the command line names.
func (o *drillOptions) chosen(cmd *cobra.Command, names []string) ([]drill.Drill, error) {
	switch {
	case o.all && len(names) > 0:
		return nil, misused(cmd, errors.New("cannot run all drills and named ones: leave out one of the two"))
	case o.all:
		return drill.Catalog(), nil
	case len(names) == 0:
		return nil, misused(cmd, errors.New("cannot tell which drill is meant: name some, or say --all"))
	}
	drills, err := drill.Named(slices.Compact(names))
	if err != nil {
		return nil, usageError{err}
	}
	return drills, nil
}

func (o *drillOptions) run(ctx context.Context, drills []drill.Drill) error {
	view := newView(o.stderr)
	defer view.close()
	contexts, err := os.MkdirTemp("", "bronze-drill-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for client contexts: %w", err)
	}
	defer os.RemoveAll(contexts)
	o.contexts = contexts
	ground, err := o.ground(view.hear)
	if err != nil {
		return err
	}
	session := drill.Session{
		Drills: drills, Cluster: o.cluster, Lenient: o.all, EngineRestart: o.restart != "", Keep: o.keep,
	}
	result, err := session.Run(ctx, ground)
	view.close()
	if err != nil {
		return err
	}
	result.Bronze = ground.Version
	result.Host = fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if err := o.tell(result); err != nil {
		return err
	}
	if failed := result.Failures(); failed > 0 {
		return fmt.Errorf("%d of %d drills failed", failed, len(result.Runs))
	}
	return ctx.Err()
}

// tell writes the report, and prints what came of each drill.
func (o *drillOptions) tell(result drill.Report) error {
	if o.dir != "" {
		if err := drillreport.Write(o.dir, result); err != nil {
			return err
		}
		fmt.Fprintf(o.stderr, "The report is %s.\n", filepath.Join(o.dir, drillreport.HTMLFile))
	}
	return o.form.print(o.stdout, result, func() [][]string { return runRows(result) })
}

func runRows(result drill.Report) [][]string {
	rows := [][]string{{"DRILL", "VERDICT", "SEEN", "CLEAN", "FULL STRENGTH", "API GAP", "LOST", "WHY"}}
	measured := func(seconds *float64) string {
		if seconds == nil {
			return "-"
		}
		return fmt.Sprintf("%.1f s", *seconds)
	}
	for _, run := range result.Runs {
		rows = append(rows, []string{
			run.Name, string(run.Verdict), measured(run.Times.Detect), measured(run.Times.Clean), measured(run.Times.Strong),
			measured(run.Times.Gap), fmt.Sprint(len(run.Writes.Lost)), cmp.Or(run.Reason, "-"),
		})
	}
	return rows
}

// ground is where the drills take place: this host's engine and state directory.
func (o *drillOptions) ground(progress provision.Progress) (*site.Ground, error) {
	reconciler, err := o.reconciler(progress)
	if err != nil {
		return nil, err
	}
	if o.program, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("cannot tell where this program is: %w", err)
	}
	manifest, err := node.Load()
	if err != nil {
		return nil, err
	}
	request := provision.DefaultRequest()
	request.KubernetesVersion, request.Image = manifest.Kubernetes, cmp.Or(o.image, manifest.Reference())
	runner, err := o.runner(progress)
	if err != nil {
		return nil, err
	}
	ground := &site.Ground{
		Reconciler: reconciler, Runner: runner, Request: request, Version: manifest.Bronze, Probe: probeImage(manifest),
		Reconcile: o.reconcileProcess,
	}
	if o.restart != "" {
		ground.RestartEngine = func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "sh", "-c", o.restart) }
	}
	return ground, nil
}

// probeImage is the name of the image in every node that has the workload of tests.
func probeImage(manifest node.Manifest) string {
	i := slices.IndexFunc(manifest.Container.Names, func(name string) bool { return strings.Contains(name, "/probe:") })
	if i < 0 {
		return ""
	}
	return manifest.Container.Names[i]
}

// reconcileProcess is this program again.
func (o *drillOptions) reconcileProcess(ctx context.Context, cluster string, policy drill.Cure) *exec.Cmd {
	args := append([]string{"cluster"}, strings.Fields(string(policy))...)
	args = append(args, cluster, "--now", "--state-dir", o.stateDir, "--provider", o.provider)
	process := exec.CommandContext(ctx, o.program, args...)
	if o.cluster == "" {
		process.Env = append(os.Environ(),
			"KUBECONFIG="+filepath.Join(o.contexts, "kubeconfig"), "TALOSCONFIG="+filepath.Join(o.contexts, "talosconfig"))
	}
	return process
}
