// SPDX-License-Identifier: Apache-2.0

package gossip

import (
	"errors"
	"fmt"

	"supervisor/membership"
)

// wireVersion is the first byte of every packet. A packet of another version
// is counted and dropped.
const wireVersion = 1

// kind is the second byte.
type kind byte

const (
	kindDigest  kind = 1 // the rest is a signed digest, opaque here
	kindLookNow kind = 2 // the rest is the name of a node
)

// DigestMax is the largest digest in bytes.
const DigestMax = membership.DigestMax

// nameMax bounds a node's name on the wire.
const nameMax = 255

var errMalformed = errors.New("malformed packet")

func encode(k kind, body []byte) []byte {
	return append([]byte{wireVersion, byte(k)}, body...)
}

// decode checks everything but the digest's content. The body is a copy:
// memberlist uses its buffer again.
func decode(packet []byte) (kind, []byte, error) {
	if len(packet) < 3 || packet[0] != wireVersion {
		return 0, nil, errMalformed
	}
	k, body := kind(packet[1]), packet[2:]
	switch {
	case k == kindDigest && len(body) <= DigestMax:
	case k == kindLookNow && len(body) <= nameMax:
	default:
		return 0, nil, fmt.Errorf("%w: kind %d, %d bytes", errMalformed, k, len(body))
	}
	return k, append([]byte(nil), body...), nil
}
