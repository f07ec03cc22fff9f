package balance

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	fit, dead := error(nil), errors.New("connection refused")
	weak := fmt.Errorf("status 500: %w", ErrWeak)
	missed := standing{misses: map[string]int{"a": 1}}

	for name, test := range map[string]struct {
		before   standing
		verdicts []verdict
		usable   []string
		lost     []string
	}{
		"none is listed":                   {standing{}, nil, nil, nil},
		"the fit ones, in order":           {standing{}, []verdict{{"b", fit}, {"a", fit}}, []string{"b", "a"}, nil},
		"a first miss costs no connection": {standing{}, []verdict{{"a", dead}, {"b", fit}}, []string{"b"}, nil},
		"a second one does":                {missed, []verdict{{"a", dead}, {"b", fit}}, []string{"b"}, []string{"a"}},
		"unless there is no other":         {missed, []verdict{{"a", dead}}, nil, nil},
		"an answer forgives":               {missed, []verdict{{"a", fit}, {"b", fit}}, []string{"a", "b"}, nil},
		"a weak one is kept, not chosen":   {missed, []verdict{{"a", weak}, {"b", fit}}, []string{"b"}, nil},
		"weak ones where none is fit":      {standing{}, []verdict{{"a", weak}, {"b", dead}}, []string{"a"}, nil},
		"one that is no upstream any more": {standing{}, []verdict{{"b", fit}}, []string{"b"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			after := judge(test.before, test.verdicts)
			if diff := cmp.Diff(test.usable, after.usable); diff != "" {
				t.Errorf("usable (-want +got):\n%s", diff)
			}

			var lost []string
			if after.lost("a") {
				lost = append(lost, "a")
			}

			if diff := cmp.Diff(test.lost, lost); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}

			if len(after.usable) == 0 && after.reason == nil {
				t.Error("no reason")
			}
		})
	}
}

func TestLooksAreCloseWhileSomebodyWaitsAndRareLater(t *testing.T) {
	for name, test := range map[string]struct {
		fit          bool
		took, waited time.Duration
		want         time.Duration
	}{
		"fit":                    {true, 10 * time.Millisecond, 0, 990 * time.Millisecond},
		"fit, after a slow look": {true, time.Second, 0, checkEager},
		"not fit since just now": {false, time.Second, 0, checkEager},
		"not fit for a while":    {false, 0, 4 * time.Second, 200 * time.Millisecond},
		"not fit for long":       {false, 0, time.Hour, checkSteady},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pauseAfter(test.fit, test.took, test.waited); got != test.want {
				t.Errorf("pause %s, want %s", got, test.want)
			}
		})
	}
}

func TestAnnouncementsAreReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"10.5.0.3:40000", "[fd00::1]:1"} {
		from := netip.MustParseAddrPort(text)
		line := announcement(from, from)

		got, err := parseAnnouncement(strings.TrimSuffix(line, "\r\n"))
		if err != nil || got != from || len(line) > maxAnnouncement {
			t.Errorf("%q was read as %s, %v", line, got, err)
		}
	}
}

func TestReadLineRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no end":   strings.Repeat("x", 2*maxAnnouncement),
		"too soon": "PROXY",
	} {
		t.Run(name, func(t *testing.T) {
			if line, err := readLine(strings.NewReader(text)); err == nil {
				t.Errorf("read %q", line)
			}
		})
	}

	for _, line := range []string{"", "PROXY", "PROXY TCP4 a b 1 2", "PROXY UDP4 10.0.0.1 10.0.0.2 1 2", "\x16\x03\x01 a b c d e"} {
		if from, err := parseAnnouncement(line); err == nil {
			t.Errorf("%q was read as %s", line, from)
		}
	}
}
