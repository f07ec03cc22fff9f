package discovery

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/siderolabs/talos/pkg/machinery/resources/cluster"
)

// specs makes affiliates of texts "id" or "id=content".
func specs(texts ...string) []cluster.AffiliateSpec {
	var all []cluster.AffiliateSpec

	for _, text := range texts {
		id, content, _ := strings.Cut(text, "=")
		all = append(all, cluster.AffiliateSpec{NodeID: id, Hostname: content})
	}

	return all
}

func TestTheViewOfAllServers(t *testing.T) {
	const ttl = 10 * time.Second

	snapshot := func(server string, texts ...string) event {
		return event{server: server, kind: isSnapshot, affiliates: specs(texts...)}
	}
	update := func(server string, texts ...string) event {
		return event{server: server, kind: isUpdate, affiliates: specs(texts...)}
	}
	remove := func(server string, ids ...string) event { return event{server: server, kind: isRemoval, ids: ids} }
	forgotten := func(ids ...string) event { return event{kind: isForgotten, ids: ids} }
	lost := func(server string) event { return event{server: server, kind: isDisconnect} }

	// Each event comes a second after the one before; after is how long after the last one is looked.
	tests := []struct {
		name   string
		events []event
		after  time.Duration
		want   string
	}{
		{"nothing", nil, 0, ""},
		{"what one server says", []event{snapshot("a", "x", "y")}, time.Hour, "x y"},
		{"what any server says", []event{snapshot("a", "x"), snapshot("b", "y")}, 0, "x y"},
		{"an update adds", []event{snapshot("a", "x"), update("a", "y")}, 0, "x y"},
		{"the last word counts", []event{snapshot("a", "x=old"), snapshot("b", "x=new")}, 0, "x=new"},
		{"a repetition is no later word", []event{snapshot("a", "x=old"), snapshot("b", "x=new"), update("a", "x=old")}, 0, "x=new"},
		{"a server that is there goes before one that is not", []event{snapshot("a", "x=old"), snapshot("b", "x=new"), lost("b")}, 0, "x=old"},
		{"who one forgets, another may know", []event{snapshot("a", "x"), snapshot("b", "x"), remove("a", "x")}, 0, "x"},
		{"who all forget is gone", []event{snapshot("a", "x"), snapshot("b", "x"), remove("a", "x"), remove("b", "x")}, 0, ""},
		{"a lost server is believed for a while", []event{snapshot("a", "x"), lost("a")}, ttl - 1, "x"},
		{"and then no more", []event{snapshot("a", "x"), lost("a")}, ttl, ""},
		{"being lost twice does not prolong it", []event{snapshot("a", "x"), lost("a"), lost("a")}, ttl - time.Second, ""},
		{"another's removal ends it", []event{snapshot("a", "x", "y"), lost("a"), snapshot("b", "x", "y"), remove("b", "x")}, 0, "y"},
		{"a server that comes back empty takes nobody away", []event{snapshot("a", "x"), lost("a"), snapshot("a")}, ttl - 2*time.Second, "x"},
		{"until it had time to hear of all", []event{snapshot("a", "x"), lost("a"), snapshot("a")}, ttl - time.Second, ""},
		{"what it hears again stays", []event{snapshot("a", "x"), lost("a"), snapshot("a"), update("a", "x")}, time.Hour, "x"},
		{"who is forgotten is gone whoever knows it", []event{snapshot("a", "x", "y"), snapshot("b", "x"), lost("b"), forgotten("x")}, 0, "y"},
		{"a server that could not be asked tells of it again", []event{snapshot("a", "x"), lost("a"), forgotten("x"), snapshot("a", "x")}, 0, "x"},
		{"until it expires there", []event{snapshot("a", "x"), lost("a"), forgotten("x"), snapshot("a", "x"), remove("a", "x")}, 0, ""},
		{"a server that never was is no loss", []event{lost("a"), remove("a", "x")}, 0, ""},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			v := newView(ttl)

			for _, e := range test.events {
				now = now.Add(time.Second)
				v.apply(e, now)
			}

			v.expire(now.Add(test.after))

			var got []string
			for _, a := range v.affiliates() {
				got = append(got, strings.TrimSuffix(a.NodeID+"="+a.Hostname, "="))
			}

			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheViewSaysWhenItExpires(t *testing.T) {
	now := time.Unix(1000, 0)
	v := newView(10 * time.Second)
	v.apply(event{server: "a", kind: isSnapshot, affiliates: specs("x")}, now)

	if _, ok := v.next(); ok {
		t.Error("what a server holds expires")
	}

	v.apply(event{server: "a", kind: isDisconnect}, now)

	if next, ok := v.next(); !ok || next.Sub(now) != 10*time.Second {
		t.Errorf("it expires after %s (%t)", next.Sub(now), ok)
	}
}

func TestTheTimeOfTheFirstNewsStaysWithANode(t *testing.T) {
	now := time.Unix(1000, 0)
	v := newView(10 * time.Second)
	v.apply(event{server: "a", kind: isSnapshot, affiliates: specs("x=1")}, now)
	v.apply(event{server: "b", kind: isSnapshot, affiliates: specs("x=2")}, now.Add(time.Second))
	v.apply(event{server: "a", kind: isRemoval, ids: []string{"x"}}, now.Add(time.Second))

	if got := v.affiliates()[0].first; !got.Equal(now) {
		t.Errorf("first heard of at %s, not %s", got, now)
	}

	v.apply(event{server: "b", kind: isRemoval, ids: []string{"x"}}, now.Add(2*time.Second))
	v.apply(event{server: "b", kind: isUpdate, affiliates: specs("x")}, now.Add(3*time.Second))

	if got := v.affiliates()[0].first; !got.Equal(now.Add(3 * time.Second)) {
		t.Errorf("it came back at %s", got)
	}
}
