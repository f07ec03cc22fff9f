package apply

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	sidero "github.com/siderolabs/crypto/x509"
	"github.com/siderolabs/talos/pkg/machinery/config"

	"github.com/bronze-os/bronze/images/machined/internal/config/honoured"
	"github.com/bronze-os/bronze/images/machined/internal/discovery/ttl"
)

// container is the kind of machine that machinery validates a config for.
type container struct{}

// String is part of validation.RuntimeMode.
func (container) String() string { return "container" }

// RequiresInstall is part of validation.RuntimeMode: there is no disk to install to.
func (container) RequiresInstall() bool { return false }

// InContainer is part of validation.RuntimeMode.
func (container) InContainer() bool { return true }

// check answers the warnings about a config, and an *InvalidError with everything that keeps it from being taken.
func check(fields []honoured.Field, next config.Provider) ([]string, error) {
	said, err := judge(fields, next)
	if err != nil {
		return nil, err
	}

	warnings, err := validate(next)
	problems := append(append(flatten("", err), Missing(next)...), said.problems...)

	if len(problems) > 0 {
		return nil, &InvalidError{Problems: problems}
	}

	return bounded(append(warnings, said.warnings...)), nil
}

// validate asks machinery. It follows pointers that an odd document leaves nil, and what panics there must not end the
// node: such a document is invalid.
func validate(next config.Provider) (warnings []string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("cannot validate the machine config: a section that it needs is null or empty (%v)", cause)
		}
	}()

	return next.Validate(container{})
}

// flatten makes one text of each error in a tree of them, each with the words before it.
func flatten(prefix string, err error) []string {
	if err == nil {
		return nil
	}

	var many interface{ WrappedErrors() []error }
	if !errors.As(err, &many) {
		return []string{prefix + err.Error()}
	}

	if inner, ok := many.(error); ok {
		prefix += strings.TrimSuffix(err.Error(), inner.Error())
	}

	var problems []string
	for _, one := range many.WrappedErrors() {
		problems = append(problems, flatten(prefix, one)...)
	}

	return problems
}

// Missing names what machinery lets be absent although a node of that type has nothing to start with without it.
func Missing(next config.Provider) []string {
	machine, cluster := next.Machine(), next.Cluster()
	found := map[string]bool{
		"machine.token":  machine.Security().Token() != "",
		"cluster.token":  cluster.Token().ID() != "" && cluster.Token().Secret() != "",
		"cluster.ca.crt": hasCertificate(cluster.IssuingCA()),
	}
	needed := []string{"machine.token", "cluster.token", "cluster.ca.crt"}

	if machine.Type().IsControlPlane() {
		needed = append(needed, "cluster.ca.key", "cluster.aggregatorCA", "cluster.serviceAccount.key", "cluster.etcd.ca")
		found["cluster.ca.key"] = hasKey(cluster.IssuingCA())
		found["cluster.aggregatorCA"] = hasCertificate(cluster.AggregatorCA()) && hasKey(cluster.AggregatorCA())
		found["cluster.serviceAccount.key"] = cluster.ServiceAccount() != nil && len(cluster.ServiceAccount().Key) > 0
		found["cluster.etcd.ca"] = hasCertificate(cluster.Etcd().CA()) && hasKey(cluster.Etcd().CA())
	}

	var problems []string

	for _, path := range needed {
		if !found[path] {
			problems = append(problems, fmt.Sprintf("%s is missing: a %s needs it", path, machine.Type()))
		}
	}

	return append(problems, malformed(next)...)
}

func hasCertificate(pair *sidero.PEMEncodedCertificateAndKey) bool {
	return pair != nil && len(pair.Crt) > 0
}

func hasKey(pair *sidero.PEMEncodedCertificateAndKey) bool {
	return pair != nil && len(pair.Key) > 0
}

// malformed names the values that machinery takes as they come and that are not what they should be.
func malformed(next config.Provider) []string {
	network := next.Cluster().Network()

	problems := append(notNetworks("cluster.network.podSubnets", network.PodCIDRs()),
		notNetworks("cluster.network.serviceSubnets", network.ServiceCIDRs())...)

	if _, err := ttl.Of(next); err != nil {
		problems = append(problems, err.Error())
	}

	return problems
}

func notNetworks(path string, networks []string) []string {
	var problems []string

	for _, one := range networks {
		if _, err := netip.ParsePrefix(one); err != nil {
			problems = append(problems, fmt.Sprintf("%s holds %q, which is no network", path, one))
		}
	}

	return problems
}
