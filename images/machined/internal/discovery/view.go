package discovery

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// view is what all servers together say of the other nodes. The time is told to it. A server that cannot be asked any
// more, or forgot all that it knew, takes nobody away at once: what it said holds for ttl longer.
type view struct {
	ttl time.Duration
	// servers are by address; their sightings by node ID.
	servers map[string]map[string]sighting
	// first is when a node was first heard of, as long as anybody knows it.
	first map[string]time.Time
}

// sighting is what one server says of one node.
type sighting struct {
	spec cluster.AffiliateSpec
	// since is when the server first said just this.
	since time.Time
	// until is when it is no longer believed; zero as long as the server holds on to it.
	until time.Time
}

// affiliate is a node with the time when it was first heard of.
type affiliate struct {
	cluster.AffiliateSpec

	first time.Time
}

func newView(ttl time.Duration) *view {
	return &view{ttl: ttl, servers: map[string]map[string]sighting{}, first: map[string]time.Time{}}
}

// apply takes in what a server says.
func (v *view) apply(news event, now time.Time) {
	switch news.kind {
	case isSnapshot:
		v.snapshot(news.server, news.affiliates, now)
	case isUpdate:
		v.update(news.server, news.affiliates, now)
	case isRemoval:
		v.remove(news.server, news.ids)
	case isDisconnect:
		v.disconnect(news.server, now)
	case isForgotten:
		v.forget(news.ids)
	}
}

// forget takes nodes away whatever any server said of them. One that knows them still, as it could not be asked to forget
// them, tells of them again until they expire there.
func (v *view) forget(ids []string) {
	for _, sightings := range v.servers {
		for _, id := range ids {
			delete(sightings, id)
		}
	}

	v.tidy()
}

// snapshot takes in the first that a server says after a connection: others that it knew before may only have had no time
// yet to announce themselves again, or follow in the next message.
func (v *view) snapshot(server string, all []cluster.AffiliateSpec, now time.Time) {
	v.disconnect(server, now)
	v.update(server, all, now)
}

// update takes in news from a server.
func (v *view) update(server string, news []cluster.AffiliateSpec, now time.Time) {
	if v.servers[server] == nil {
		v.servers[server] = map[string]sighting{}
	}

	for _, spec := range news {
		since := now
		if before, known := v.servers[server][spec.NodeID]; known && reflect.DeepEqual(before.spec, spec) {
			since = before.since
		}

		v.servers[server][spec.NodeID] = sighting{spec: spec, since: since}

		if _, known := v.first[spec.NodeID]; !known {
			v.first[spec.NodeID] = now
		}
	}
}

// remove takes in that a server forgot nodes. That also ends what servers said of them that cannot be asked any more.
func (v *view) remove(server string, ids []string) {
	for _, id := range ids {
		delete(v.servers[server], id)

		for _, sightings := range v.servers {
			if !sightings[id].until.IsZero() {
				delete(sightings, id)
			}
		}
	}

	v.tidy()
}

// disconnect takes in that a server cannot be asked any more.
func (v *view) disconnect(server string, now time.Time) {
	for id, s := range v.servers[server] {
		if s.until.IsZero() {
			s.until = now.Add(v.ttl)
			v.servers[server][id] = s
		}
	}
}

// expire forgets what is no longer believed.
func (v *view) expire(now time.Time) {
	for _, sightings := range v.servers {
		maps.DeleteFunc(sightings, func(_ string, s sighting) bool { return !s.until.IsZero() && !s.until.After(now) })
	}

	v.tidy()
}

// tidy keeps nothing of servers that know nobody, and of nodes that nobody knows.
func (v *view) tidy() {
	maps.DeleteFunc(v.servers, func(_ string, sightings map[string]sighting) bool { return len(sightings) == 0 })

	known := v.newest()
	maps.DeleteFunc(v.first, func(id string, _ time.Time) bool {
		_, ok := known[id]
		return !ok
	})
}

// next is when expire has something to do; false where it has not.
func (v *view) next() (time.Time, bool) {
	var first time.Time

	for _, sightings := range v.servers {
		for _, s := range sightings {
			if !s.until.IsZero() && (first.IsZero() || s.until.Before(first)) {
				first = s.until
			}
		}
	}

	return first, !first.IsZero()
}

// affiliates are all other nodes, by ID.
func (v *view) affiliates() []affiliate {
	known := v.newest()
	result := make([]affiliate, 0, len(known))

	for _, id := range slices.Sorted(maps.Keys(known)) {
		result = append(result, affiliate{AffiliateSpec: known[id].spec, first: v.first[id]})
	}

	return result
}

// newest is, of each node, what was said last by a server that still holds on to it, or else by one that did.
func (v *view) newest() map[string]sighting {
	newest := map[string]sighting{}

	for _, server := range slices.Sorted(maps.Keys(v.servers)) {
		for id, s := range v.servers[server] {
			if best, known := newest[id]; !known || s.better(best) {
				newest[id] = s
			}
		}
	}

	return newest
}

func (s sighting) better(than sighting) bool {
	if held := s.until.IsZero(); held != than.until.IsZero() {
		return held
	}

	return s.since.After(than.since)
}
