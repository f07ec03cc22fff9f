package settings

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/resources/secrets"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// addSecrets tells the roots of trust that the config holds. A worker's hold no keys.
func (n Node) addSecrets(set *publish.Set) {
	ips, names := n.sans(n.Config.Machine().Security().CertSANs())

	root := secrets.NewOSRoot(secrets.OSRootID)
	*root.TypedSpec() = secrets.OSRootSpec{
		IssuingCA:       n.Config.Machine().Security().IssuingCA(),
		AcceptedCAs:     accepted(n.Config.Machine().Security().AcceptedCAs(), n.Config.Machine().Security().IssuingCA()),
		CertSANIPs:      ips,
		CertSANDNSNames: names,
		Token:           n.Config.Machine().Security().Token(),
	}

	kubelet := secrets.NewKubelet(secrets.KubeletID)
	*kubelet.TypedSpec() = secrets.KubeletSpec{
		Endpoint:             n.balancer(),
		AcceptedCAs:          accepted(n.Config.Cluster().AcceptedCAs(), n.Config.Cluster().IssuingCA()),
		BootstrapTokenID:     n.Config.Cluster().Token().ID(),
		BootstrapTokenSecret: n.Config.Cluster().Token().Secret(),
	}

	set.Add(root, kubelet, n.certSAN(secrets.CertSANAPIID, n.Config.Machine().Security().CertSANs()))

	if n.isControlPlane() {
		set.Add(n.kubernetesRoot(), n.etcdRoot(), n.certSAN(secrets.CertSANKubernetesID, n.Config.Cluster().CertSANs()))
	}
}

// balancer is the node's own way to the Kubernetes API.
func (n Node) balancer() *url.URL {
	return &url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(n.KubePrism))}
}

func (n Node) kubernetesRoot() *secrets.KubernetesRoot {
	cluster := n.Config.Cluster()
	services, _ := cluster.Network().APIServerIPs()

	root := secrets.NewKubernetesRoot(secrets.KubernetesRootID)
	*root.TypedSpec() = secrets.KubernetesRootSpec{
		Name:                      cluster.Name(),
		Endpoint:                  cluster.Endpoint(),
		LocalEndpoint:             &url.URL{Scheme: "https", Host: net.JoinHostPort("localhost", strconv.Itoa(cluster.LocalAPIServerPort()))},
		CertSANs:                  cluster.CertSANs(),
		APIServerIPs:              services,
		DNSDomain:                 cluster.Network().DNSDomain(),
		IssuingCA:                 cluster.IssuingCA(),
		AcceptedCAs:               accepted(cluster.AcceptedCAs(), cluster.IssuingCA()),
		ServiceAccount:            cluster.ServiceAccount(),
		AggregatorCA:              cluster.AggregatorCA(),
		AESCBCEncryptionSecret:    cluster.AESCBCEncryptionSecret(),
		SecretboxEncryptionSecret: cluster.SecretboxEncryptionSecret(),
		BootstrapTokenID:          cluster.Token().ID(),
		BootstrapTokenSecret:      cluster.Token().Secret(),
	}

	return root
}

func (n Node) etcdRoot() *secrets.EtcdRoot {
	root := secrets.NewEtcdRoot(secrets.EtcdRootID)
	root.TypedSpec().EtcdCA = n.Config.Cluster().Etcd().CA()

	return root
}

func (n Node) certSAN(id string, asked []string) *secrets.CertSAN {
	san := secrets.NewCertSAN(secrets.NamespaceName, id)
	san.TypedSpec().IPs, san.TypedSpec().DNSNames = n.sans(slices.Concat(asked, []string{n.Hostname, n.IP.String()}))
	san.TypedSpec().FQDN = n.Hostname

	return san
}

// sans tells addresses from names.
func (n Node) sans(asked []string) (ips []netip.Addr, names []string) {
	for _, san := range asked {
		if ip, err := netip.ParseAddr(san); err == nil {
			ips = append(ips, ip)
		} else {
			names = append(names, san)
		}
	}

	return ips, names
}

// accepted are the authorities that a node believes, its own included.
func accepted(others []*x509.PEMEncodedCertificate, own *x509.PEMEncodedCertificateAndKey) []*x509.PEMEncodedCertificate {
	if own == nil {
		return others
	}

	return append([]*x509.PEMEncodedCertificate{{Crt: own.Crt}}, others...)
}
