package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/machineconfig"
)

type genConfigOptions struct {
	*outputFiles
	asked      machineconfig.Generation
	patches    requestFlags
	secrets    string
	output     string
	types      []string
	discovery  bool
	persist    bool
	apiVersion string
}

// configFiles are the files that gen config makes, by their output types.
func configFiles() map[string]string {
	return map[string]string{"controlplane": "controlplane.yaml", "worker": "worker.yaml", "talosconfig": "talosconfig"}
}

func newGenConfig(files *outputFiles) *cobra.Command {
	options := &genConfigOptions{outputFiles: files}
	cmd := &cobra.Command{
		Use:   "config CLUSTER ENDPOINT",
		Short: "Make the machine configs of a cluster, and its talosconfig",
		Long: `Config writes controlplane.yaml, worker.yaml and talosconfig. The endpoint is the URL of the Kubernetes API: port 6443
of the control plane, or of a load balancer before several.`,
		Example: `  bronze gen config dev https://10.5.0.2:6443
  bronze gen config dev https://10.5.0.2:6443 --with-secrets secrets.yaml -t worker -o -`,
		Args: cobra.ExactArgs(2),
	}
	options.add(cmd.Flags())
	return runs(cmd, options.run)
}

func (o *genConfigOptions) add(flags *pflag.FlagSet) {
	o.patches.addPatches(flags)
	flags.StringVar(&o.secrets, "with-secrets", "", "secrets bundle that gen secrets made (default fresh secrets)")
	flags.StringVarP(&o.output, "output", "o", "", "directory to write to, or for one output type the file, - for stdout (default the current directory)")
	flags.StringSliceVarP(&o.types, "output-types", "t", []string{"controlplane", "worker", "talosconfig"}, "what to make")
	flags.StringSliceVar(&o.asked.SubjectAltNames, "additional-sans", nil, "further names of the Kubernetes API in its certificate")
	flags.StringVar(&o.asked.KubernetesVersion, "kubernetes-version", "", "Kubernetes whose images nodes pull (default none: what the nodes bring along)")
	flags.StringVar(&o.asked.TalosVersion, "talos-version", "", "Talos version of the nodes, such as v1.10 (default the newest)")
	flags.StringVar(&o.asked.DNSDomain, "dns-domain", "cluster.local", "the cluster's DNS domain")
	flags.StringVar(&o.asked.InstallDisk, "install-disk", "", "disk to install to, on nodes that are no containers")
	flags.StringVar(&o.asked.InstallImage, "install-image", "", "image to install, on nodes that are no containers")
	flags.StringSliceVar(&o.asked.RegistryMirrors, "registry-mirror", nil, "<registry host>=<mirror URL> (repeatable)")
	flags.BoolVar(&o.discovery, "with-cluster-discovery", true, "let nodes find each other")
	flags.BoolVar(&o.asked.KubeSpan, "with-kubespan", false, "enable KubeSpan")
	flags.BoolVar(&o.asked.Docs, "with-docs", false, "explain each field in a comment")
	flags.BoolVar(&o.asked.Examples, "with-examples", false, "show examples in comments")
	flags.StringVar(&o.apiVersion, "version", "v1alpha1", "version of the machine config")
	flags.BoolVarP(&o.persist, "persist", "p", true, "ignored, as in talosctl: configs are kept")
}

func (o *genConfigOptions) run(_ context.Context, args []string) error {
	paths, err := o.paths()
	if err != nil {
		return err
	}
	if err := o.refuse(paths...); err != nil {
		return err
	}
	request, err := o.request(args)
	if err != nil {
		return err
	}
	made, err := machineconfig.Generate(request)
	if err != nil {
		return err
	}
	contents := map[string][]byte{"controlplane": made.ControlPlane, "worker": made.Worker, "talosconfig": made.Talosconfig}
	for i, path := range paths {
		if path == "-" {
			_, err = o.stdout.Write(contents[o.types[i]])
		} else {
			err = o.write(path, contents[o.types[i]])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *genConfigOptions) request(args []string) (machineconfig.Generation, error) {
	asked := o.asked
	asked.Cluster, asked.Endpoint, asked.NoDiscovery = args[0], args[1], !o.discovery
	if o.apiVersion != "v1alpha1" {
		return asked, fmt.Errorf("cannot make machine configs of version %q: want v1alpha1", o.apiVersion)
	}
	if o.secrets != "" {
		bundle, err := os.ReadFile(o.secrets)
		if err != nil {
			return asked, fmt.Errorf("cannot read secrets: %w", err)
		}
		asked.Secrets = bundle
	}
	var patched provision.Request
	err := o.patches.readPatches(&patched)
	asked.Patches = patched.Patches
	return asked, err
}

// paths are where each of the output types goes.
func (o *genConfigOptions) paths() ([]string, error) {
	files := configFiles()
	for _, kind := range o.types {
		if files[kind] == "" {
			return nil, fmt.Errorf("cannot make %q: want controlplane, worker or talosconfig", kind)
		}
	}
	slices.Sort(o.types)
	o.types = slices.Compact(o.types)
	switch {
	case len(o.types) == 1 && o.output != "" && !isDirectory(o.output):
		return []string{o.output}, nil
	case o.output == "-":
		return nil, fmt.Errorf("cannot write %d files to stdout: name one with --output-types", len(o.types))
	}
	var paths []string
	for _, kind := range o.types {
		paths = append(paths, filepath.Join(o.output, files[kind]))
	}
	return paths, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
