package main

import (
	"os"
	"runtime/debug"
	"strconv"
	"time"
)

// deferCollectionVariable asks a program to run without garbage collection for that long after its start (a Go
// duration), as long as it stays under GOMEMLIMIT. A booting control plane allocates hard for some seconds on two
// cores, and collecting meanwhile was measured to cost 0.3 s of a 6 s boot.
const deferCollectionVariable = "BRONZE_DEFER_GC"

// deferCollection switches the collector off where the environment asks for it, and back to its usual pace when the
// time is over, then hands the freed pages back to the kernel. The caller calls what it returns before it exits.
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
		debug.SetGCPercent(pace)
		debug.FreeOSMemory()
	})

	return func() { timer.Stop() }
}
