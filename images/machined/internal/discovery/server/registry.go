package server

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/siderolabs/discovery-api/api/v1alpha1/server/pb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// registry holds the affiliates of one cluster. It is not safe for concurrent use, and the time is told to it.
type registry map[string]affiliate

// affiliate is what one node said of itself, sealed.
type affiliate struct {
	data      []byte
	until     time.Time
	endpoints []endpoint
}

// endpoint is where others reached the affiliate, sealed.
type endpoint struct {
	data  []byte
	until time.Time
}

// update is one affiliate's news. Without data it tells of endpoints only.
type update struct {
	id        string
	data      []byte
	endpoints [][]byte
	ttl       time.Duration
}

// apply takes an update in, and tells whether a watcher would see the difference. Endpoints of an affiliate that the
// registry does not have go nowhere: an affiliate lives by its own word only.
func (r registry) apply(news update, now time.Time) (bool, error) {
	before, known := r[news.id]

	switch {
	case !known && len(news.data) == 0:
		return false, nil
	case !known && len(r) >= maxAffiliates:
		return false, status.Errorf(codes.ResourceExhausted, "there are %d affiliates already, and no more can be kept", maxAffiliates)
	}

	next := before
	changed := false

	if len(news.data) > 0 {
		changed = !bytes.Equal(before.data, news.data)
		next.data, next.until = news.data, now.Add(news.ttl)
	}

	merged, added := merge(before.endpoints, news.endpoints, now.Add(news.ttl))
	if len(merged) > maxEndpoints {
		return false, status.Errorf(codes.ResourceExhausted, "an affiliate can have %d endpoints and no more", maxEndpoints)
	}

	next.endpoints = merged
	r[news.id] = next

	return changed || added, nil
}

// merge adds endpoints, or makes those that are there already live on until then.
func merge(before []endpoint, news [][]byte, until time.Time) ([]endpoint, bool) {
	all := slices.Clone(before)
	added := false

	for _, data := range news {
		i := slices.IndexFunc(all, func(e endpoint) bool { return bytes.Equal(e.data, data) })
		if i < 0 {
			all, added = append(all, endpoint{data: data, until: until}), true
		} else if all[i].until.Before(until) {
			all[i].until = until
		}
	}

	return all, added
}

// remove takes an affiliate out, and tells whether it was there.
func (r registry) remove(id string) bool {
	_, known := r[id]
	delete(r, id)

	return known
}

// expire takes out what nobody refreshed in time, and answers the affiliates that have changed by that.
func (r registry) expire(now time.Time) []string {
	var changed []string

	for id, a := range r {
		if !a.until.After(now) {
			delete(r, id)

			changed = append(changed, id)

			continue
		}

		live := slices.DeleteFunc(slices.Clone(a.endpoints), func(e endpoint) bool { return !e.until.After(now) })
		if len(live) < len(a.endpoints) {
			a.endpoints = live
			r[id] = a

			changed = append(changed, id)
		}
	}

	return changed
}

// next is when something expires, unless it is refreshed before; false where there is nothing.
func (r registry) next() (time.Time, bool) {
	var first time.Time

	earlier := func(t time.Time) {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}

	for _, a := range r {
		earlier(a.until)

		for _, e := range a.endpoints {
			earlier(e.until)
		}
	}

	return first, !first.IsZero()
}

// ids are sorted.
func (r registry) ids() []string {
	return slices.Sorted(maps.Keys(r))
}

// message is an affiliate as the wire has it; false where there is none of that ID.
func (r registry) message(id string) (*pb.Affiliate, bool) {
	a, known := r[id]
	if !known {
		return nil, false
	}

	message := &pb.Affiliate{Id: id, Data: a.data}
	for _, e := range a.endpoints {
		message.Endpoints = append(message.Endpoints, e.data)
	}

	return message, true
}
