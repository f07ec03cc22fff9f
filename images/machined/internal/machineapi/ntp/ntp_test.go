package ntp

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"
)

// serve answers questions with packets that answer makes, on a loopback address.
func serve(t *testing.T, answers ...func(question []byte) []byte) string {
	t.Helper()

	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}

	ended := make(chan struct{})

	go func() {
		defer close(ended)

		question := make([]byte, packetLength)

		for {
			_, from, err := conn.ReadFromUDP(question)
			if err != nil {
				return
			}

			for _, answer := range answers {
				_, _ = conn.WriteToUDP(answer(question), from)
			}
		}
	}()

	t.Cleanup(func() {
		conn.Close()
		<-ended
	})

	return conn.LocalAddr().String()
}

// tell answers that it is ahead of the local clock.
func tell(ahead time.Duration) func([]byte) []byte {
	return func(question []byte) []byte {
		answer := make([]byte, packetLength)
		answer[0], answer[atStratum] = 4<<3|modeServer, 2
		copy(answer[atOriginate:], question[atTransmit:])

		for _, at := range []int{atReceive, atTransmit} {
			now := time.Now().Add(ahead)
			binary.BigEndian.PutUint32(answer[at:], uint32(now.Unix()+epoch))
			binary.BigEndian.PutUint32(answer[at+4:], uint32(uint64(now.Nanosecond())<<32/uint64(time.Second)))
		}

		return answer
	}
}

func refuse(question []byte) []byte {
	answer := tell(0)(question)
	answer[atStratum] = 0
	copy(answer[atReference:], "RATE")

	return answer
}

func forge([]byte) []byte { return tell(99 * time.Hour)(make([]byte, packetLength)) }

func TestOffsetIsHowFarTheClockIsBehind(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -24 * time.Hour, 20 * 365 * 24 * time.Hour} {
		got, err := Offset(t.Context(), serve(t, forge, tell(ahead)))
		if err != nil {
			t.Fatal(err)
		}

		if (got - ahead).Abs() > time.Minute {
			t.Errorf("%s ahead became %s", ahead, got)
		}
	}
}

func TestOffsetTellsARefusal(t *testing.T) {
	if _, err := Offset(t.Context(), serve(t, refuse)); !errors.Is(err, ErrRefused) {
		t.Error(err)
	}
}

func TestOffsetEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()

	if _, err := Offset(ctx, serve(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
