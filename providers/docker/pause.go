package docker

import (
	"context"
	"time"
)

// makingInterval is between two looks at something that the engine is just making.
const makingInterval = 50 * time.Millisecond

// pause lasts a makingInterval, or ends with ctx.
func pause(ctx context.Context) error {
	timer := time.NewTimer(makingInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
