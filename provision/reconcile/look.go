package reconcile

import (
	"context"

	"github.com/bronze-os/bronze/provision"
	"github.com/bronze-os/bronze/provision/picture"
)

// Look asks all sources of the record's cluster, and never fails: why a source does not answer is in what is returned.
// The record is that of the state directory, or has the cluster's name only.
func Look(ctx context.Context, engine Engine, connector Connector, record provision.Record) picture.Sources {
	return picture.Look(ctx, engine, picture.Opener{
		Nodes:      func(access provision.Access) (picture.NodeAPI, error) { return connector.Nodes(access) },
		Kubernetes: func(access provision.Access) (picture.KubernetesAPI, error) { return connector.Kubernetes(access) },
	}, record)
}
