package server

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func say(id, data string, ttl time.Duration, endpoints ...string) update {
	news := update{id: id, data: []byte(data), ttl: ttl}
	for _, e := range endpoints {
		news.endpoints = append(news.endpoints, []byte(e))
	}

	return news
}

// content is the registry as "id=data[endpoints]".
func content(r registry) string {
	var all []string

	for _, id := range r.ids() {
		message, _ := r.message(id)

		all = append(all, fmt.Sprintf("%s=%s%s", id, message.GetData(), message.GetEndpoints()))
	}

	return strings.Join(all, " ")
}

func TestTheRegistryKeepsWhatIsRefreshed(t *testing.T) {
	const second = time.Second

	tests := []struct {
		name string
		news []update
		// changes tells of each update whether a watcher sees it.
		changes []bool
		// after is how long after the last update, which all come a second after each other, it is looked.
		after time.Duration
		want  string
		// expired are those that changed by the look.
		expired []string
	}{
		{"nothing", nil, nil, 0, "", nil},
		{"an affiliate", []update{say("a", "1", 5*second)}, []bool{true}, 0, "a=1[]", nil},
		{"until it is silent", []update{say("a", "1", 5*second)}, []bool{true}, 5 * second, "", []string{"a"}},
		{"a refresh is no change", []update{say("a", "1", 5*second), say("a", "1", 5*second)}, []bool{true, false}, 4 * second, "a=1[]", nil},
		{"other words are", []update{say("a", "1", 5*second), say("a", "2", 5*second)}, []bool{true, true}, 0, "a=2[]", nil},
		{"endpoints add up", []update{say("a", "1", 5*second, "x"), say("a", "", 5*second, "y", "x")}, []bool{true, true}, 0, "a=1[x y]", nil},
		{"each lives by itself", []update{say("a", "1", 9*second, "x"), say("a", "", 2*second, "y")}, []bool{true, true}, 2 * second, "a=1[x]", []string{"a"}},
		{"an endpoint again is no change", []update{say("a", "1", 9*second, "x"), say("a", "", 9*second, "x")}, []bool{true, false}, 8 * second, "", []string{"a"}},
		{"endpoints give no life", []update{say("a", "1", 2*second), say("a", "", 9*second, "x")}, []bool{true, true}, second, "", []string{"a"}},
		{"endpoints of nobody", []update{say("a", "", 5*second, "x")}, []bool{false}, 0, "", nil},
		{"a shorter life", []update{say("a", "1", 9*second), say("a", "1", 2*second)}, []bool{true, false}, 2 * second, "", []string{"a"}},
	}

	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			now := time.Unix(1000, 0)
			r := registry{}

			var changes []bool

			for _, news := range test.news {
				now = now.Add(second)

				changed, err := r.apply(news, now)
				if err != nil {
					t.Fatal(err)
				}

				changes = append(changes, changed)
			}

			expired := r.expire(now.Add(test.after))
			if diff := cmp.Diff([]any{test.changes, test.expired, test.want}, []any{changes, expired, content(r)}); diff != "" {
				t.Errorf("changes, expired and content (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRegistryIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	r := registry{}

	for i := range maxAffiliates {
		if _, err := r.apply(say(strconv.Itoa(i), "x", time.Minute), now); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := r.apply(say("one more", "x", time.Minute), now); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more affiliate: %v", err)
	}

	if _, err := r.apply(say("0", "y", time.Minute), now); err != nil {
		t.Errorf("one that is there: %v", err)
	}

	var many []string
	for i := range maxEndpoints {
		many = append(many, strconv.Itoa(i))
	}

	if _, err := r.apply(say("0", "", time.Minute, many...), now); err != nil {
		t.Fatal(err)
	}

	if _, err := r.apply(say("0", "", time.Minute, "one more"), now); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("one more endpoint: %v", err)
	}

	if got, _ := r.message("0"); len(got.GetEndpoints()) != maxEndpoints {
		t.Errorf("%d endpoints", len(got.GetEndpoints()))
	}
}

func TestTheRegistryKnowsWhatExpiresNext(t *testing.T) {
	now := time.Unix(1000, 0)
	r := registry{}

	if _, ok := r.next(); ok {
		t.Error("of nothing, something expires")
	}

	for _, news := range []update{say("a", "1", 9*time.Second), say("b", "1", 7*time.Second), say("a", "", 5*time.Second, "x")} {
		if _, err := r.apply(news, now); err != nil {
			t.Fatal(err)
		}
	}

	if next, _ := r.next(); next.Sub(now) != 5*time.Second {
		t.Errorf("next expires something after %s", next.Sub(now))
	}
}
