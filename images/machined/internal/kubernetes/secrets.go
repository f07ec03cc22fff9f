package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config/config"

	"github.com/bronze-os/bronze/images/machined/internal/rootfs"
)

// Secrets answers the files that the static pods mount.
func (n Node) Secrets() ([]rootfs.Step, error) {
	steps, err := n.apiServerSecrets()
	if err != nil {
		return nil, fmt.Errorf("making %s's secrets: %w", componentAPIServer, err)
	}

	cluster := n.Config.Cluster()
	manager := func(name string) string { return secret(componentControllerManager, name) }

	steps = append(steps, pair(manager("ca"), cluster.IssuingCA())...)
	steps = append(steps, rootfs.File{Path: manager("service-account.key"), Content: string(cluster.ServiceAccount().Key), Mode: 0o600})

	// The controller manager asks the API once a second whether it is healthy, so that a first answer of no costs it a
	// second; the scheduler asks nothing.
	ports := map[string]int{componentControllerManager: n.HealthyPort, componentScheduler: n.SettledPort}

	for component, port := range ports {
		certificate, err := Issue(cluster.IssuingCA(), Identity{CommonName: "system:" + component})
		if err != nil {
			return nil, fmt.Errorf("making %s's certificate: %w", component, err)
		}

		server := fmt.Sprintf("https://127.0.0.1:%d", port)
		content := clientKubeconfig(n.Config, component, server, certificate).Render()
		steps = append(steps, rootfs.File{Path: secret(component, "kubeconfig"), Content: string(content), Mode: 0o600})
	}

	settings, err := n.schedulerConfig()

	return append(steps, settings...), err
}

func (n Node) apiServerSecrets() ([]rootfs.Step, error) {
	cluster := n.Config.Cluster()

	serviceAccount, err := publicKey(cluster.ServiceAccount().Key)
	if err != nil {
		return nil, fmt.Errorf("reading the service account key: %w", err)
	}

	var steps []rootfs.Step

	file := func(name string, content []byte) {
		steps = append(steps, rootfs.File{Path: secret(componentAPIServer, name), Content: string(content), Mode: 0o600})
	}

	file("ca.crt", authorities(cluster))
	file("aggregator-ca.crt", cluster.AggregatorCA().Crt)
	file("etcd-ca.crt", cluster.Etcd().CA().Crt)
	file("service-account.key", cluster.ServiceAccount().Key)
	file("service-account.pub", serviceAccount)

	if err := n.apiServerConfigs(file); err != nil {
		return nil, err
	}

	clients := []struct {
		name string
		ca   *x509.PEMEncodedCertificateAndKey
		who  Identity
	}{
		{"etcd-client", cluster.Etcd().CA(), Identity{CommonName: "kube-apiserver"}},
		{"front-proxy-client", cluster.AggregatorCA(), Identity{CommonName: "front-proxy-client"}},
		{"kubelet-client", cluster.IssuingCA(), Identity{CommonName: "apiserver-kubelet-client", Organization: "system:masters"}},
	}

	for _, client := range clients {
		certificate, err := Issue(client.ca, client.who)
		if err != nil {
			return nil, fmt.Errorf("making certificate %s: %w", client.name, err)
		}

		steps = append(steps, pair(secret(componentAPIServer, client.name), certificate)...)
	}

	server, err := n.serverCertificate()
	if err != nil {
		return nil, err
	}

	return append(steps, pair(secret(componentAPIServer, "server"), server)...), nil
}

// authorities are those whose clients the API server believes, in PEM.
func authorities(cluster config.ClusterConfig) []byte {
	bundle := slices.Clone(cluster.IssuingCA().Crt)

	for _, accepted := range cluster.AcceptedCAs() {
		bundle = append(append(bundle, '\n'), accepted.Crt...)
	}

	return bundle
}

// apiServerConfigs writes the configuration files that the API server's flags name, as JSON.
func (n Node) apiServerConfigs(file func(name string, content []byte)) error {
	apiServer := n.Config.Cluster().APIServer()

	type object = map[string]any

	plugins := []object{}
	for _, plugin := range apiServer.AdmissionControl() {
		plugins = append(plugins, object{"name": plugin.Name(), "configuration": plugin.Configuration()})
	}

	documents := map[string]object{
		"admission.json":  {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins},
		"encryption.json": encryptionConfiguration(n.Config.Cluster().SecretboxEncryptionSecret(), n.Config.Cluster().AESCBCEncryptionSecret()),
	}

	if policy := apiServer.AuditPolicy(); policy != nil {
		documents["audit-policy.json"] = policy
	}

	if n.authorizes() {
		documents["authorization.json"] = n.authorization()
	}

	for name, document := range documents {
		content, err := json.Marshal(document)
		if err != nil {
			return fmt.Errorf("cannot encode %s: %w", name, err)
		}

		file(name, content)
	}

	return nil
}

// encryptionConfiguration has Kubernetes write secrets under the first key there is, and read unencrypted ones still.
func encryptionConfiguration(secretbox, aescbc string) map[string]any {
	var providers []any

	for _, key := range []struct{ provider, secret string }{{"secretbox", secretbox}, {"aescbc", aescbc}} {
		if key.secret != "" {
			keys := []any{map[string]any{"name": "key1", "secret": key.secret}}
			providers = append(providers, map[string]any{key.provider: map[string]any{"keys": keys}})
		}
	}

	providers = append(providers, map[string]any{"identity": map[string]any{}})

	return map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1",
		"kind":       "EncryptionConfiguration",
		"resources":  []any{map[string]any{"resources": []string{"secrets"}, "providers": providers}},
	}
}
