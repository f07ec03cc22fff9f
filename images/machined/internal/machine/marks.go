package machine

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"strconv"

	"github.com/bronze-os/bronze/images/machined/internal/kubeapi"
	"github.com/bronze-os/bronze/images/machined/internal/kubelet"
	"github.com/bronze-os/bronze/images/machined/internal/kubernetes"
)

// markNode keeps the labels, annotations and taints of the machine config on the Node.
func (m *Machine) markNode(ctx context.Context) error {
	if err := poll(ctx, m.ownKubelet().HasIdentity); err != nil {
		return err
	}

	config, err := m.nodeTLS()
	if err != nil {
		return err
	}

	api := kubeapi.New("https://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(m.settledPort())), config)
	defer api.Close()

	return kubernetes.Self{
		API:        api,
		Name:       m.hostname,
		Restricted: !m.isControlPlane(),
		Marks:      m.marks,
		Changed:    m.config.Changed,
		Log:        m.log,
	}.Run(ctx)
}

func (m *Machine) marks() kubernetes.Marks {
	machine := m.Config().Machine()

	labels := maps.Clone(map[string]string(machine.NodeLabels()))
	if labels == nil {
		labels = map[string]string{}
	}

	if m.isControlPlane() {
		labels[kubernetes.RoleLabel] = ""
	}

	return kubernetes.Marks{
		Labels:      labels,
		Annotations: machine.NodeAnnotations(),
		Taints:      kubernetes.Taints(machine.NodeTaints(), m.isControlPlane() && !m.Config().Cluster().ScheduleOnControlPlanes()),
	}
}

// nodeTLS shows who this node is to the Kubernetes API: a control plane may do anything, a worker is its kubelet.
func (m *Machine) nodeTLS() (*tls.Config, error) {
	if m.isControlPlane() {
		return m.adminTLS()
	}

	config, err := m.clusterTLS()
	if err != nil {
		return nil, err
	}

	// The kubelet renews the pair from time to time.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(kubelet.ClientPair, kubelet.ClientPair)
		if err != nil {
			return nil, fmt.Errorf("cannot show the kubelet's certificate: %w", err)
		}

		return &pair, nil
	}

	return config, nil
}
