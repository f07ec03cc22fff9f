package drill

import "time"

// Verdict is how a drill ended.
type Verdict string

// The verdicts.
const (
	Passed  Verdict = "passed"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Report is what came of drills that were run together.
type Report struct {
	// Bronze is the version, Host what it ran on in words.
	Bronze string    `json:"bronze"`
	Host   string    `json:"host"`
	Began  time.Time `json:"began"`
	// Seconds is how long all took, with the clusters that were made for them.
	Seconds float64 `json:"seconds"`
	Runs    []Run   `json:"drills"`
}

// Run is what came of one drill. Times within are in seconds since it began.
type Run struct {
	Name      string    `json:"name"`
	Rehearses string    `json:"rehearses"`
	Act       Act       `json:"act,omitempty"`
	Whom      Whom      `json:"whom,omitempty"`
	Cure      Cure      `json:"cure,omitempty"`
	Cluster   string    `json:"cluster,omitempty"`
	Shape     Shape     `json:"shape"`
	Verdict   Verdict   `json:"verdict"`
	Reason    string    `json:"reason,omitempty"`
	Began     time.Time `json:"began,omitzero"`
	Seconds   float64   `json:"seconds"`

	// HarmedAt is when the harm was done; nil where it was not.
	HarmedAt *float64 `json:"harmedAt,omitempty"`
	// Victims are the nodes that the harm was done to.
	Victims []string `json:"victims,omitempty"`
	Checks  []Check  `json:"checks,omitempty"`
	Phases  []Phase  `json:"phases,omitempty"`
	Events  []Event  `json:"events,omitempty"`
	Lanes   []Lane   `json:"lanes,omitempty"`
	Writes  Writes   `json:"writes"`
	Times   Times    `json:"times"`
}

// Check is one thing that must hold, whether it did, and what shows it.
type Check struct {
	What     string `json:"what"`
	Held     bool   `json:"held"`
	Evidence string `json:"evidence,omitempty"`
}

// Times are what a drill measures, in seconds; nil where there is nothing to measure. Detect, Clean and Strong count from
// the harm, and are as fine as the picture is taken often.
type Times struct {
	Detect *float64 `json:"detect,omitempty"`
	Clean  *float64 `json:"clean,omitempty"`
	Strong *float64 `json:"fullStrength,omitempty"`
	// Gap is the longest time between two acknowledged writes, MaxGap what it may be.
	Gap    *float64 `json:"apiGap,omitempty"`
	MaxGap *float64 `json:"maxAPIGap,omitempty"`
}

// Stage names a part of a run.
type Stage string

// The stages, in order.
const (
	StageCanary  Stage = "canary"
	StageSteady  Stage = "steady"
	StageHarm    Stage = "harm"
	StageDetect  Stage = "detect"
	StageHold    Stage = "hold"
	StageCure    Stage = "cure"
	StageClean   Stage = "clean"
	StageStrong  Stage = "full strength"
	StageCheck   Stage = "check"
	StagePutBack Stage = "put back"
)

// Phase is a stage as it was run.
type Phase struct {
	Stage Stage   `json:"stage"`
	From  float64 `json:"from"`
	To    float64 `json:"to"`
}

// Event is one thing that happened.
type Event struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
}

// Lane is one node's states, one after the other.
type Lane struct {
	Node  string `json:"node"`
	Role  string `json:"role,omitempty"`
	Spans []Span `json:"spans"`
}

// Span is a time in which a node was in one state: one of package picture's, or "not ready", "starting" or "unknown".
type Span struct {
	From  float64 `json:"from"`
	To    float64 `json:"to"`
	State string  `json:"state"`
	Why   string  `json:"why,omitempty"`
}

// Writes are what came of the stream of writes.
type Writes struct {
	// From and To are when the stream ran.
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Acknowledged counts them, and PerTenth for each tenth of a second since From.
	Acknowledged int   `json:"acknowledged"`
	PerTenth     []int `json:"perTenth,omitempty"`
	Refused      int   `json:"refused"`
	// Why has the reasons of refusals, each once, in the order in which they came.
	Why []string `json:"why,omitempty"`
	// Lost are acknowledged writes that are not there.
	Lost []string `json:"lost,omitempty"`
	// Gaps are the times of more than GapShown without an acknowledged write, in their order.
	Gaps []Gap `json:"gaps,omitempty"`
}

// GapShown is from how many seconds on a time without a write is a gap.
const GapShown = 0.5

// Gap is a time without an acknowledged write.
type Gap struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// Seconds is its length.
func (g Gap) Seconds() float64 { return g.To - g.From }

// Failures counts the runs that failed.
func (r Report) Failures() int { return r.counted(Failed) }

// Skips counts the runs that did not take place.
func (r Report) Skips() int { return r.counted(Skipped) }

func (r Report) counted(verdict Verdict) int {
	n := 0
	for _, run := range r.Runs {
		if run.Verdict == verdict {
			n++
		}
	}
	return n
}
