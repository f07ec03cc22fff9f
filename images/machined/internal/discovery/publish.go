package discovery

import (
	"context"
	"encoding/base64"

	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
	"github.com/siderolabs/talos/pkg/machinery/resources/config"

	"github.com/bronze-os/bronze/images/machined/internal/resources/publish"
)

// rawPrefix is before the ID of an affiliate that Talos's service registry told of.
const rawPrefix = "service/"

// publish writes the resources, as Talos has them: in the namespace cluster all nodes, this one included, by node ID;
// in cluster-raw what was heard of others; the members; and what the node knows of itself. self is nil where discovery
// is off.
func (o Options) publish(ctx context.Context, set settings, self *cluster.AffiliateSpec, others []affiliate) error {
	var all publish.Set

	all.Kind(&cluster.Identity{}, &cluster.Info{}, &cluster.Config{}, &cluster.Affiliate{}, &cluster.Member{})
	all.In(cluster.RawNamespaceName, &cluster.Affiliate{})

	identity := cluster.NewIdentity(cluster.NamespaceName, cluster.LocalIdentity)
	identity.TypedSpec().NodeID = o.NodeID

	info := cluster.NewInfo()
	*info.TypedSpec() = cluster.InfoSpec{ClusterID: set.clusterID, ClusterName: set.clusterName}

	discovery := cluster.NewConfig(config.NamespaceName, cluster.ConfigID)
	*discovery.TypedSpec() = set.resource()

	all.Add(identity, info, discovery)

	if self != nil {
		own := cluster.NewAffiliate(cluster.NamespaceName, self.NodeID)
		*own.TypedSpec() = *self
		all.Add(own)
	}

	for _, other := range others {
		raw := cluster.NewAffiliate(cluster.RawNamespaceName, rawPrefix+other.NodeID)
		*raw.TypedSpec() = other.AffiliateSpec

		merged := cluster.NewAffiliate(cluster.NamespaceName, other.NodeID)
		*merged.TypedSpec() = other.AffiliateSpec

		all.Add(raw, merged)
	}

	for id, spec := range members(self, others) {
		member := cluster.NewMember(cluster.NamespaceName, id)
		*member.TypedSpec() = spec
		all.Add(member)
	}

	return all.Write(ctx, o.State)
}

// resource shows the settings as Talos does; the endpoint is the one that the node begins with.
func (s settings) resource() cluster.ConfigSpec {
	spec := cluster.ConfigSpec{DiscoveryEnabled: s.enabled, RegistryServiceEnabled: s.service}
	if !s.service {
		return spec
	}

	spec.ServiceEndpoint, spec.ServiceClusterID = s.own, s.clusterID

	if s.extra.address != "" {
		spec.ServiceEndpoint, spec.ServiceEndpointInsecure = s.extra.address, s.extra.plain
	}

	// It was decoded once already, by whoever made the settings.
	spec.ServiceEncryptionKey, _ = base64.StdEncoding.DecodeString(s.secretText)

	return spec
}
