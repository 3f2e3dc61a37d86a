// SPDX-License-Identifier: Apache-2.0

package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"supervisor/cluster"
	"supervisor/membership"
)

// Format is the version of the file. A change that an older program would read
// as something else raises it.
const Format = 2

// FileMax is the largest recording in bytes: what a Recorder may hold, and
// what stands around it, fit twice.
const FileMax = 2 * bytesMost

// magic begins the first line, which says the format.
const magic = "supervisor trace "

// frameHead is the length and the checksum before each part of the file.
const frameHead = 8

// ErrUnreadable is a file that cannot be replayed; what wraps it says why.
var ErrUnreadable = errors.New("read the recording")

func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnreadable, fmt.Sprintf(format, args...))
}

// Header says whose recording it is.
type Header struct {
	Version string // of the program that judged
	Cluster string
	Agent   cluster.Name   // whose judge it was
	Moment  cluster.Moment // of the recording; the turns lie before it
	Wall    int64          // the same by the wall clock, in Unix nanoseconds, for people
	Turns   int
	Blocks  int
}

// At is a moment of the recording by the wall clock of the agent.
func (h Header) At(m cluster.Moment) time.Time {
	return time.Unix(0, h.Wall-int64(h.Moment.Sub(m))).UTC()
}

// Recording is what a Recorder kept.
type Recording struct {
	Header Header
	blocks [][]byte
}

// WriteTo writes the file: a line with the format, and then the header and each
// block, with length and checksum.
func (x Recording) WriteTo(to io.Writer) (n int64, err error) {
	w := newWriter(0)
	w.value(reflect.ValueOf(x.Header))
	put := func(b []byte) {
		if err == nil {
			var k int
			k, err = to.Write(b)
			n += int64(k)
		}
	}
	put([]byte(magic + strconv.Itoa(Format) + "\n"))
	for _, b := range append([][]byte{w.b}, x.blocks...) {
		head := binary.BigEndian.AppendUint32(nil, uint32(len(b)))
		put(binary.BigEndian.AppendUint32(head, crc32.ChecksumIEEE(b)))
		put(b)
	}
	if err != nil {
		return n, fmt.Errorf("write the recording: %w", err)
	}
	return n, nil
}

// Reader gives the turns of a recording one after the other.
type Reader struct {
	Header Header
	// Start is the judge's memory before the first turn.
	Start  membership.View
	from   *bufio.Reader
	left   int // bytes that the file may still have
	block  int // that is being read, from 1
	r      reader
	memory memory
	turns  int
}

// Open reads the beginning of a recording.
func Open(from io.Reader) (*Reader, error) {
	x := &Reader{from: bufio.NewReader(from), left: FileMax}
	line, err := x.from.ReadSlice('\n')
	version, ours := strings.CutPrefix(string(line), magic)
	switch format, wrong := strconv.Atoi(strings.TrimSuffix(version, "\n")); {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	case err != nil || !ours || wrong != nil:
		return nil, unreadable("it is none: it does not begin with %q, as what explain --record writes", magic)
	case format != Format:
		return nil, unreadable("it is of format %d, and this program reads format %d: replay it with the version that recorded it", format, Format)
	}
	head, err := x.frame("its header")
	if err != nil {
		return nil, err
	}
	r := reader{rest: head}
	r.value(reflect.ValueOf(&x.Header).Elem())
	if r.failed || len(r.rest) > 0 {
		return nil, unreadable("its header is malformed")
	}
	if x.Header.Blocks < 1 {
		return nil, unreadable("no turn of the judge is in it")
	}
	return x, x.next()
}

// frame reads one part of the file.
func (x *Reader) frame(what string) ([]byte, error) {
	var head [frameHead]byte
	if n, err := io.ReadFull(x.from, head[:]); err != nil {
		return nil, short(what, n, frameHead, err)
	}
	size := int(binary.BigEndian.Uint32(head[:4]))
	if x.left -= size; x.left < 0 {
		return nil, unreadable("it has more than %d MiB with %s", FileMax>>20, what)
	}
	// It grows as it is read: a wrong length makes nobody allocate.
	b, err := io.ReadAll(io.LimitReader(x.from, int64(size)))
	if err != nil || len(b) < size {
		return nil, short(what, len(b), size, err)
	}
	if crc32.ChecksumIEEE(b) != binary.BigEndian.Uint32(head[4:]) {
		return nil, unreadable("%s is damaged, its checksum is another: copy the file again", what)
	}
	return b, nil
}

func short(what string, has, of int, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %s: %w", ErrUnreadable, what, err)
	}
	return unreadable("it is cut short: %s has %d of %d bytes: copy the file again", what, has, of)
}

func (x *Reader) name() string { return fmt.Sprintf("block %d of %d", x.block, x.Header.Blocks) }

// next goes to the next block; the end is io.EOF.
func (x *Reader) next() error {
	if x.block == x.Header.Blocks {
		switch _, err := x.from.ReadByte(); {
		case err == nil:
			return unreadable("something follows its last block")
		case x.turns != x.Header.Turns:
			return unreadable("it has %d turns, and its header tells of %d", x.turns, x.Header.Turns)
		}
		return io.EOF
	}
	x.block++
	b, err := x.frame(x.name())
	if err != nil {
		return err
	}
	x.r = reader{rest: b}
	x.r.base = cluster.Moment(x.r.signed())
	var s start
	x.r.value(reflect.ValueOf(&s).Elem())
	if x.r.failed {
		return unreadable("%s does not begin with a judge's memory", x.name())
	}
	if err := fitting(s.View.Topology, s.View.Reports); err != nil {
		return unreadable("%s begins with a memory that no judge has: %v", x.name(), err)
	}
	s.View.Topology = s.View.Topology.Seated()
	if x.block == 1 {
		x.Start = s.View
	}
	x.memory = remember(s, x.r.base)
	return nil
}

// Next is the next turn; io.EOF after the last one.
func (x *Reader) Next() (Turn, error) {
	for len(x.r.rest) == 0 {
		if err := x.next(); err != nil {
			return Turn{}, err
		}
	}
	t := x.r.turn(&x.memory)
	x.turns++
	if x.r.failed {
		return Turn{}, unreadable("turn %d, in %s, is malformed", x.turns, x.name())
	}
	return t, nil
}
