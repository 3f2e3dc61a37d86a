// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"
)

// FuzzReplay: whatever a file says, a replay ends, with events or with one
// message. What is fuzzed is behind the checksums, which a sender can make too.
func FuzzReplay(f *testing.F) {
	j, r := newJudge(), newRegion(4)
	j.rec.most = 8 << 10 // so that there are several blocks
	j.seconds(r, 10)
	r.down[r.names[1]] = r.now
	j.seconds(r, 10)
	j.rules.FenceAge = time.Second
	j.seconds(r, 2)
	j.turn(nil, newRegion(3).topology, r.now)
	x := j.rec.Recording(Header{Cluster: "c", Agent: "n1", Moment: r.now})
	for _, b := range x.blocks {
		f.Add(b, b)
		f.Add(b[:len(b)/2], []byte{})
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		y := x
		y.Header.Blocks, y.Header.Turns = 2, 0
		y.blocks = [][]byte{one, two}
		var file bytes.Buffer
		if _, err := y.WriteTo(&file); err != nil {
			t.Fatal(err)
		}
		if _, err := Replay(&file, ""); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Error(err)
		}
	})
}

// FuzzFile: a file that is no file of ours ends in one message too.
func FuzzFile(f *testing.F) {
	j, r := newJudge(), newRegion(3)
	j.seconds(r, 2)
	file := j.file(f)
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte(magic + "1\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if line := len(magic) + 2; len(file) > line+frameHead && binary.BigEndian.Uint32(file[line:]) <= uint32(len(file)-line-frameHead) {
			n := int(binary.BigEndian.Uint32(file[line:])) // a header that is believed
			binary.BigEndian.PutUint32(file[line+4:], crc32.ChecksumIEEE(file[line+frameHead:][:n]))
		}
		if _, err := Replay(bytes.NewReader(file), ""); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Error(err)
		}
	})
}
