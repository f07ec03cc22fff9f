package drill

import (
	"slices"
	"sync"
	"time"
)

// ledger keeps what came of each write. It may be used by many at once.
type ledger struct {
	mu      sync.Mutex
	began   time.Time
	acks    []ack
	refused int
	why     []string
}

// ack is one acknowledged write.
type ack struct {
	key string
	at  time.Time
}

// reasonsKept bounds how many different refusals are told.
const reasonsKept = 8

func newLedger(began time.Time) *ledger {
	return &ledger{began: began}
}

func (l *ledger) acknowledged(key string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, ack{key, at})
}

func (l *ledger) refusedWith(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused++
	if why := err.Error(); len(l.why) < reasonsKept && !slices.Contains(l.why, why) {
		l.why = append(l.why, why)
	}
}

// counts are how many were acknowledged and refused so far.
func (l *ledger) counts() (acknowledged, refused int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acks), l.refused
}

// writes sums the ledger up at the end of the stream, in seconds since zero.
func (l *ledger) writes(zero, ended time.Time) Writes {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := func(at time.Time) float64 { return seconds(at.Sub(zero)) }
	writes := Writes{
		From: since(l.began), To: since(ended),
		Acknowledged: len(l.acks), Refused: l.refused, Why: l.why,
		PerTenth: make([]int, tenths(ended.Sub(l.began))),
	}
	last := l.began
	for _, ack := range l.acks {
		if i := int(ack.at.Sub(l.began) / (100 * time.Millisecond)); i >= 0 && i < len(writes.PerTenth) {
			writes.PerTenth[i]++
		}
		writes.Gaps = appendGap(writes.Gaps, Gap{since(last), since(ack.at)})
		last = ack.at
	}
	writes.Gaps = appendGap(writes.Gaps, Gap{since(last), since(ended)})
	return writes
}

func appendGap(gaps []Gap, gap Gap) []Gap {
	if gap.Seconds() <= GapShown {
		return gaps
	}
	return append(gaps, gap)
}

// tenths are the tenths of a second that have begun.
func tenths(length time.Duration) int {
	const tenth = 100 * time.Millisecond
	return max(0, int((length+tenth-1)/tenth))
}

// longest is the longest time between two acknowledged writes, also where it is too short to be among writes' gaps.
func (l *ledger) longest(ended time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, longest := l.began, time.Duration(0)
	for _, ack := range l.acks {
		longest, last = max(longest, ack.at.Sub(last)), ack.at
	}
	return max(longest, ended.Sub(last))
}

// lost are the acknowledged keys that are not among the found ones.
func (l *ledger) lost(found map[string]bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lost []string
	for _, ack := range l.acks {
		if !found[ack.key] {
			lost = append(lost, ack.key)
		}
	}
	return lost
}

// seconds has milliseconds and nothing below: finer would claim what is not measured.
func seconds(length time.Duration) float64 {
	return float64(length.Milliseconds()) / 1000
}
