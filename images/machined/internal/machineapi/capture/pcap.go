package capture

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// The format of a pcap file with microseconds, as draft-ietf-opsawg-pcap has it: every reader knows it.
const (
	magic        = 0xa1b2c3d4
	major        = 2
	minor        = 4
	headerLength = 24
	recordHeader = 16
)

// The link types of that draft's registry.
const (
	linkEthernet = 1
	linkRaw      = 101
)

func fileHeader(snap int, link uint32) []byte {
	header := make([]byte, headerLength)
	binary.LittleEndian.PutUint32(header[0:], magic)
	binary.LittleEndian.PutUint16(header[4:], major)
	binary.LittleEndian.PutUint16(header[6:], minor)
	binary.LittleEndian.PutUint32(header[16:], uint32(snap))
	binary.LittleEndian.PutUint32(header[20:], link)

	return header
}

// putRecordHeader says when a packet was seen, how much of it is kept and how long it was.
func putRecordHeader(header []byte, at time.Time, kept, length int) {
	binary.LittleEndian.PutUint32(header[0:], uint32(at.Unix()))
	binary.LittleEndian.PutUint32(header[4:], uint32(at.Nanosecond()/1000))
	binary.LittleEndian.PutUint32(header[8:], uint32(kept))
	binary.LittleEndian.PutUint32(header[12:], uint32(length))
}

// linkType tells what the packets of a kind of interface begin with. Tunnels have no link layer.
func linkType(hardware uint16) uint32 {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return linkEthernet
	default:
		return linkRaw
	}
}
