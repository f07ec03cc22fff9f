package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// deferCollectionVariable asks a program to run without garbage collection for that long after its start (a Go
// duration), as long as it stays under GOMEMLIMIT. A booting control plane allocates hard for some seconds on two
// cores, and collecting meanwhile was measured to cost 0.3 s of a 6 s boot. The limit is worth having: what lives on is
// scattered over all that was allocated until the first collection, and keeps those pages.
const deferCollectionVariable = "BRONZE_DEFER_GC"

// deferCollection switches the collector off where the environment asks for it. When the time is over it lifts the
// memory limit, which was for the boot alone, sets the pace that GOGC asks for, and hands the freed pages back to the
// kernel. The caller calls what it returns before it exits.
func deferCollection() (stop func()) {
	delay, err := time.ParseDuration(os.Getenv(deferCollectionVariable))
	if err != nil || delay <= 0 {
		return func() {}
	}

	pace := 100
	if asked, err := strconv.Atoi(os.Getenv("GOGC")); err == nil {
		pace = asked
	}

	debug.SetGCPercent(-1)

	timer := time.AfterFunc(delay, func() {
		debug.SetMemoryLimit(math.MaxInt64)
		debug.SetGCPercent(pace)
		debug.FreeOSMemory()
	})

	return func() { timer.Stop() }
}
