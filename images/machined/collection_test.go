package main

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// collector reads how the garbage collector is set.
func collector() (pace int, limit int64) {
	pace = debug.SetGCPercent(collectionPace)
	debug.SetGCPercent(pace)

	return pace, debug.SetMemoryLimit(-1)
}

func TestGarbageIsCollectedAgainOnceTheNodeHasBooted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer deferCollection()()

		if pace, limit := collector(); pace != -1 || limit != bootMemory {
			t.Errorf("while booting the pace is %d, the limit %d bytes", pace, limit)
		}

		time.Sleep(bootLength)
		synctest.Wait()

		if pace, limit := collector(); pace != collectionPace || limit != math.MaxInt64 {
			t.Errorf("after booting the pace is %d, the limit %d bytes", pace, limit)
		}
	})
}
