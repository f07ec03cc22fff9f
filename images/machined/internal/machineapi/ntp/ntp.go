// Package ntp asks a time server for the time, as RFC 4330 has it for clients that only ask. It imports the standard
// library only.
package ntp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	port         = "123"
	packetLength = 48
	// version4Client and modeServer are of the packet's first byte: no leap warning, version 4, mode client; and the mode of
	// a server's answer.
	version4Client = 4<<3 | 3
	modeMask       = 7
	modeServer     = 4
	// epoch is the difference between NTP's time and Unix's, in seconds.
	epoch = 2208988800
)

// Where the fields of a packet lie.
const (
	atStratum   = 1
	atReference = 12
	atOriginate = 24
	atReceive   = 32
	atTransmit  = 40
)

// ErrRefused is in the error for a server that answers that it will not tell the time.
var ErrRefused = errors.New("the server does not tell the time")

var errForeign = errors.New("the answer is to another question")

// Offset asks server, a host with or without a port, how far the local clock is behind its own; ctx bounds the wait.
func Offset(ctx context.Context, server string) (time.Duration, error) {
	if _, _, err := net.SplitHostPort(server); err != nil {
		server = net.JoinHostPort(server, port)
	}

	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", server)
	if err != nil {
		return 0, err
	}
	defer conn.Close()

	// Closing wakes the read that waits.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	question, sent := ask(), time.Now()
	if _, err := conn.Write(question); err != nil {
		return 0, err
	}

	answer := make([]byte, packetLength)

	for {
		n, err := conn.Read(answer)
		if ctx.Err() != nil {
			return 0, fmt.Errorf("no answer from %s: %w", server, ctx.Err())
		}

		if err != nil {
			return 0, err
		}

		offset, err := offsetOf(question, answer[:n], sent, time.Now())
		if errors.Is(err, errForeign) {
			continue
		}

		return offset, err
	}
}

// ask makes a question. Its time is a random number, which the answer repeats: the server need not know ours.
func ask() []byte {
	question := make([]byte, packetLength)
	question[0] = version4Client
	_, _ = rand.Read(question[atTransmit:])

	return question
}

// offsetOf reads an answer: the mean of the differences on the way there and back.
func offsetOf(question, answer []byte, sent, received time.Time) (time.Duration, error) {
	if len(answer) < packetLength || answer[0]&modeMask != modeServer ||
		string(answer[atOriginate:atReceive]) != string(question[atTransmit:]) {
		return 0, errForeign
	}

	// Stratum 0 is the kiss of death, with its reason as four letters.
	if answer[atStratum] == 0 {
		return 0, fmt.Errorf("%w: %q", ErrRefused, answer[atReference:atReference+4])
	}

	there, back := timeAt(answer, atReceive).Sub(sent), timeAt(answer, atTransmit).Sub(received)

	return there/2 + back/2, nil
}

// timeAt reads 32 bits of seconds and 32 of their fraction.
func timeAt(packet []byte, at int) time.Time {
	seconds := int64(binary.BigEndian.Uint32(packet[at:])) - epoch
	fraction := uint64(binary.BigEndian.Uint32(packet[at+4:]))

	// The seconds began anew in 2036; those before 1970 are of that era.
	if seconds < 0 {
		seconds += 1 << 32
	}

	return time.Unix(seconds, int64(fraction*uint64(time.Second)>>32))
}
