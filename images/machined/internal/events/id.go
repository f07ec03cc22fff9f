package events

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// generator makes IDs in the form of an xid (https://github.com/rs/xid): seconds since 1970, five bytes that tell
// machines apart and a counter of three, in base 32. They sort by the time of their making.
type generator struct {
	machine [5]byte
	counter uint32
}

func newGenerator() generator {
	var g generator
	// Read never fails: the runtime ends the program when the kernel has no randomness.
	_, _ = rand.Read(g.machine[:])

	return g
}

func (g *generator) next(now time.Time) string {
	g.counter++

	var id [12]byte

	binary.BigEndian.PutUint32(id[8:], g.counter)
	copy(id[4:9], g.machine[:])
	binary.BigEndian.PutUint32(id[:4], uint32(now.Unix()))

	return encoding().EncodeToString(id[:])
}

func encoding() *base32.Encoding {
	return base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
}
