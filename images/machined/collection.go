package main

import (
	"math"
	"runtime/debug"
	"time"
)

const (
	// bootLength is how long a node's first steps take at most, on a machine with nothing to spare.
	bootLength = 20 * time.Second

	// bootMemory bounds, in bytes, what machined may use before it collects garbage in spite of booting: some three times what a
	// control plane was seen to use until its cluster was there.
	bootMemory = 96 << 20

	// collectionPace is Go's default.
	collectionPace = 100
)

// deferCollection switches the garbage collector off while the node boots, when all processors have better things to do,
// and lets it make up for that afterwards. The caller calls what it returns when it ends.
func deferCollection() (stop func()) {
	debug.SetMemoryLimit(bootMemory)
	debug.SetGCPercent(-1)

	timer := time.AfterFunc(bootLength, func() {
		debug.SetMemoryLimit(math.MaxInt64)
		debug.SetGCPercent(collectionPace)
		debug.FreeOSMemory()
	})

	return func() { timer.Stop() }
}
