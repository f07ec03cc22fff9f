package kubernetes

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/siderolabs/talos/pkg/machinery/constants"
	"sigs.k8s.io/yaml"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
)

//go:embed manifests/*.yaml
var manifests embed.FS

// values fill the templates. Strings go through the json function there, so that none can change the YAML around it.
type values struct {
	CA           string
	TokenID      string
	TokenSecret  string
	PodCIDRs     string
	DNSDomain    string
	DNSServiceIP string
	EndpointHost string
	EndpointPort string
	SettledPort  int
	ProxyMode    string
	ProxyImage   string
	ProxyCommand []string
	CoreDNSImage string
}

// Base answers what the API must hold before anything can run in the cluster, flannel's role included.
func (n Node) Base() ([]kubeapi.Object, error) {
	filled, err := n.values()
	if err != nil {
		return nil, err
	}

	objects, err := render("base.yaml", filled)
	if err != nil || n.Config.Cluster().Network().CNI().Name() != constants.FlannelCNI {
		return objects, err
	}

	// flanneld starts with the node, and a refusal would cost it a second.
	role, err := render("flannel.yaml", filled)

	return append(role, objects...), err
}

// AddOns answers what runs in the cluster from the start: kube-proxy and cluster DNS.
func (n Node) AddOns() ([]kubeapi.Object, error) {
	filled, err := n.values()
	if err != nil {
		return nil, err
	}

	var objects []kubeapi.Object

	for _, name := range n.wanted() {
		more, err := render(name, filled)
		if err != nil {
			return nil, err
		}

		objects = append(objects, more...)
	}

	return objects, nil
}

// Inline answers the manifests that the machine config brings itself.
func (n Node) Inline() ([]kubeapi.Object, error) {
	var objects []kubeapi.Object

	for _, manifest := range n.Config.Cluster().InlineManifests() {
		more, err := parse(manifest.Contents())
		if err != nil {
			return nil, fmt.Errorf("reading inline manifest %q: %w", manifest.Name(), err)
		}

		objects = append(objects, more...)
	}

	return objects, nil
}

// wanted names the add-ons that the machine config does not switch off.
func (n Node) wanted() []string {
	cluster := n.Config.Cluster()

	var names []string

	if cluster.Proxy().Enabled() {
		names = append(names, "kube-proxy.yaml")
	}

	if cluster.CoreDNS().Enabled() {
		names = append(names, "coredns.yaml")
	}

	return names
}

func (n Node) values() (values, error) {
	cluster := n.Config.Cluster()

	dns, err := cluster.Network().DNSServiceIPs()
	if err != nil || len(dns) == 0 {
		return values{}, fmt.Errorf("cannot derive the address of cluster DNS: %w", err)
	}

	port := cluster.Endpoint().Port()
	if port == "" {
		port = "443"
	}

	// Talos's default mode is what it uses where the config names none; the node image has no iptables.
	mode := cluster.Proxy().Mode()
	if mode == "" || mode == "iptables" {
		mode = "nftables"
	}

	command := []string{"/usr/local/bin/kube-proxy", "--config=/etc/kube-proxy/config.json", "--hostname-override=$(NODE_NAME)"}

	return values{
		CA:           string(cluster.IssuingCA().Crt),
		TokenID:      cluster.Token().ID(),
		TokenSecret:  cluster.Token().Secret(),
		PodCIDRs:     strings.Join(cluster.Network().PodCIDRs(), ","),
		DNSDomain:    cluster.Network().DNSDomain(),
		DNSServiceIP: dns[0].String(),
		EndpointHost: cluster.Endpoint().Hostname(),
		EndpointPort: port,
		SettledPort:  n.SettledPort,
		ProxyMode:    mode,
		ProxyImage:   n.ownImage("kube-proxy"),
		ProxyCommand: append(command, Flags(cluster.Proxy().ExtraArgs()).Arguments()...),
		CoreDNSImage: localRegistry + "/coredns:" + n.Versions.CoreDNS,
	}, nil
}

func render(name string, filled values) ([]kubeapi.Object, error) {
	functions := template.FuncMap{"json": func(value any) (string, error) {
		text, err := json.Marshal(value)

		return string(text), err
	}}

	parsed, err := template.New(name).Funcs(functions).ParseFS(manifests, "manifests/"+name)
	if err != nil {
		return nil, fmt.Errorf("cannot parse manifest %s: %w", name, err)
	}

	var text bytes.Buffer
	if err := parsed.Execute(&text, filled); err != nil {
		return nil, fmt.Errorf("cannot fill manifest %s: %w", name, err)
	}

	return parse(text.String())
}

// parse splits a stream of YAML documents; empty ones are passed over.
func parse(stream string) ([]kubeapi.Object, error) {
	var objects []kubeapi.Object

	for _, document := range strings.Split("\n"+stream, "\n---") {
		var object kubeapi.Object
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			return nil, fmt.Errorf("cannot parse document %q: %w", document, err)
		}

		if len(object) > 0 {
			objects = append(objects, object)
		}
	}

	return objects, nil
}
