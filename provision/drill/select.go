package drill

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bronze-os/bronze/provision"
)

// Shape is what a cluster has.
type Shape struct {
	ControlPlanes int  `json:"controlPlanes"`
	Workers       int  `json:"workers"`
	Balancer      bool `json:"balancer"`
}

// ShapeOf counts the desired nodes of a cluster.
func ShapeOf(cluster provision.Cluster) Shape {
	shape := Shape{ControlPlanes: len(cluster.ControlPlanes()), Balancer: cluster.Balancer != nil}
	shape.Workers = len(cluster.Nodes) - shape.ControlPlanes
	return shape
}

// Named finds drills by their names, in the order of the names. One that is not there is an error that says what is.
func Named(names []string) ([]Drill, error) {
	var drills []Drill
	for _, name := range names {
		i := slices.IndexFunc(Catalog(), func(d Drill) bool { return d.Name == name })
		if i < 0 {
			return nil, provision.WithHint(fmt.Errorf("cannot find drill %q", name), "bronze drill list shows those that there are")
		}
		drills = append(drills, Catalog()[i])
	}
	return drills, nil
}

// Misfit tells what a cluster of that shape lacks for the drill; empty where it fits.
func (n Needs) Misfit(shape Shape) string {
	switch {
	case n.Exactly && shape.ControlPlanes != n.ControlPlanes, shape.ControlPlanes < n.ControlPlanes, shape.Workers < n.Workers:
		return fmt.Sprintf("needs %s; the cluster has %s, %s", n.nodes(),
			count(shape.ControlPlanes, "control plane"), count(shape.Workers, "worker"))
	case n.Balancer && !shape.Balancer:
		return "needs a balancer in front of the control planes, which clusters of older versions do not have"
	default:
		return ""
	}
}

func (n Needs) nodes() string {
	n.EngineRestart = false
	return n.String()
}

// CheckFit is the error of drills that were named and do not fit the cluster; its hint makes one that fits.
func CheckFit(drills []Drill, cluster string, shape Shape) error {
	var misfits []string
	var fits Needs
	for _, drill := range drills {
		if why := drill.Needs.Misfit(shape); why != "" {
			misfits = append(misfits, fmt.Sprintf("cannot run %s on cluster %q: it %s", drill.Name, cluster, why))
			fits = drill.Needs
		}
	}
	if len(misfits) == 0 {
		return nil
	}
	return provision.WithHint(fmt.Errorf("%s", strings.Join(misfits, "\n")), fmt.Sprintf(
		"bronze cluster create drill --controlplanes %d --workers %d, or leave out --cluster: drills then make clusters of their own",
		fits.ControlPlanes, fits.Workers))
}

// Group is drills that share a throw-away cluster.
type Group struct {
	Shape  Shape
	Drills []Drill
}

// Groups puts drills onto as few clusters as do for all: those that want exactly so many control planes apart from the
// others. The order within a group is kept.
func Groups(drills []Drill) []Group {
	var groups []Group
	for _, exactly := range []bool{false, true} {
		group := Group{Shape: Shape{Balancer: true}}
		for _, drill := range drills {
			if drill.Needs.Exactly == exactly {
				group.Drills = append(group.Drills, drill)
				group.Shape.ControlPlanes = max(group.Shape.ControlPlanes, drill.Needs.ControlPlanes)
				group.Shape.Workers = max(group.Shape.Workers, drill.Needs.Workers)
			}
		}
		if len(group.Drills) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}
