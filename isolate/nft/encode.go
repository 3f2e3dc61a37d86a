// SPDX-License-Identifier: Apache-2.0

package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Where things stand in a packet, and the register that each test uses.
const (
	register       = unix.NFT_REG_1
	sourcePortAt   = 0
	targetPortAt   = 2
	portLen        = 2
	flagsAt        = 13
	flagReset      = 0x04
	source4At      = 12
	target4At      = 16
	source6At      = 8
	target6At      = 24
	interfaceBytes = 16
	rejectReset    = unix.NFT_REJECT_TCP_RST
)

// loopback is the name of an interface as the kernel compares it.
func loopback() []byte {
	name := make([]byte, interfaceBytes)
	copy(name, "lo")
	return name
}

// encode spells a rule of ours as the kernel keeps it.
func encode(r Rule, chain string) []expr.Any {
	var out []expr.Any
	incoming := chain == Incoming
	if r.Loopback {
		key := expr.MetaKeyOIFNAME
		if incoming {
			key = expr.MetaKeyIIFNAME
		}
		out = append(out, &expr.Meta{Key: key, Register: register}, equal(loopback()))
	}
	if r.FarIn != "" {
		out = append(out, address(isV4(r.FarIn), incoming)...)
		out = append(out, &expr.Lookup{SourceRegister: register, SetName: r.FarIn})
	}
	if r.Far.IsValid() {
		out = append(out, address(r.Far.Addr().Is4(), incoming)...)
		if bits := r.Far.Bits(); bits < r.Far.Addr().BitLen() {
			n := r.Far.Addr().BitLen() / 8
			out = append(out, masked(mask(bits, n)))
		}
		out = append(out, equal(r.Far.Addr().AsSlice()))
	}
	if r.NearIn != "" {
		out = append(out, address(isV4(r.NearIn), !incoming)...)
		out = append(out, &expr.Lookup{SourceRegister: register, SetName: r.NearIn})
	}
	if r.FarPort != 0 || r.NearPort != 0 || r.IsReset {
		out = append(out, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register}, equal([]byte{unix.IPPROTO_TCP}))
	}
	if r.FarPort != 0 {
		out = append(out, port(incoming), equal(binary.BigEndian.AppendUint16(nil, r.FarPort)))
	}
	if r.NearPort != 0 {
		out = append(out, port(!incoming), equal(binary.BigEndian.AppendUint16(nil, r.NearPort)))
	}
	if r.IsReset {
		out = append(out, load(expr.PayloadBaseTransportHeader, flagsAt, 1), masked([]byte{flagReset}),
			&expr.Cmp{Op: expr.CmpOpNeq, Register: register, Data: []byte{0}})
	}
	if r.Asleep {
		for _, set := range leaseSets {
			out = append(out, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
				&expr.Lookup{SourceRegister: register, SetName: set, Invert: true})
		}
	}
	return append(out, verdict(r.Do))
}

// address loads an address of a packet of one family: of its source or target.
func address(v4, source bool) []expr.Any {
	family, at, n := byte(unix.NFPROTO_IPV6), uint32(target6At), uint32(16)
	switch {
	case v4 && source:
		family, at, n = unix.NFPROTO_IPV4, source4At, 4
	case v4:
		family, at, n = unix.NFPROTO_IPV4, target4At, 4
	case source:
		at = source6At
	}
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register}, equal([]byte{family}), load(expr.PayloadBaseNetworkHeader, at, n)}
}

func port(source bool) expr.Any {
	if source {
		return load(expr.PayloadBaseTransportHeader, sourcePortAt, portLen)
	}
	return load(expr.PayloadBaseTransportHeader, targetPortAt, portLen)
}

func load(base expr.PayloadBase, at, n uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: base, Offset: at, Len: n}
}

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

func masked(mask []byte) expr.Any {
	return &expr.Bitwise{SourceRegister: register, DestRegister: register, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))}
}

// mask has its first bits set.
func mask(bits, n int) []byte {
	out := make([]byte, n)
	for i := range bits {
		out[i/8] |= 0x80 >> (i % 8)
	}
	return out
}

func verdict(v Verdict) expr.Any {
	switch v {
	case Drop:
		return &expr.Verdict{Kind: expr.VerdictDrop}
	case Reset:
		return &expr.Reject{Type: rejectReset}
	case Accept, Unknown:
	}
	return &expr.Verdict{Kind: expr.VerdictAccept}
}

// interpret is the reverse of encode. A rule is taken for one of ours only if
// it would be spelled exactly like this; everything else is foreign.
func interpret(exprs []expr.Any, chain, comment string) Rule {
	r := Rule{Why: comment}
	rest := exprs
	for len(rest) > 0 {
		n, err := r.absorb(rest, chain == Incoming)
		if err != nil {
			return Rule{Why: comment, Foreign: fmt.Sprintf("a rule %q that is none of ours: %v", comment, err)}
		}
		rest = rest[n:]
	}
	if r.Do == Unknown || !reflect.DeepEqual(encode(r, chain), exprs) {
		return Rule{Why: comment, Foreign: fmt.Sprintf("a rule %q that says more or less than one of ours: %s", comment, r)}
	}
	return r
}

// absorb reads the test at the head of a rule and tells how many expressions
// that took.
func (r *Rule) absorb(exprs []expr.Any, incoming bool) (n int, err error) {
	switch e := exprs[0].(type) {
	case *expr.Verdict:
		r.Do = Accept
		if e.Kind == expr.VerdictDrop {
			r.Do = Drop
		}
		return 1, nil
	case *expr.Reject:
		r.Do = Reset
		return 1, nil
	case *expr.Meta:
		if _, is := exprs[min(1, len(exprs)-1)].(*expr.Lookup); is {
			r.Asleep = true
			return 2, nil
		}
		// What follows a family or protocol says it again; DeepEqual compares.
		r.Loopback = r.Loopback || e.Key == expr.MetaKeyIIFNAME || e.Key == expr.MetaKeyOIFNAME
		return 2, second[*expr.Cmp](exprs)
	case *expr.Payload:
		return r.absorbPayload(e, exprs, incoming)
	}
	return 0, fmt.Errorf("%T", exprs[0])
}

func second[T expr.Any](exprs []expr.Any) error {
	if len(exprs) < 2 {
		return errors.New("it ends early")
	}
	if _, is := exprs[1].(T); !is {
		return fmt.Errorf("%T", exprs[1])
	}
	return nil
}

func (r *Rule) absorbPayload(p *expr.Payload, exprs []expr.Any, incoming bool) (n int, err error) {
	n = 2
	bits := int(p.Len) * 8
	if len(exprs) > 2 {
		if b, is := exprs[1].(*expr.Bitwise); is {
			bits, n = ones(b.Mask), 3
		}
	}
	if len(exprs) < n {
		return 0, errors.New("it ends early")
	}
	source := p.Offset == sourcePortAt || p.Base == expr.PayloadBaseNetworkHeader && (p.Offset == source4At && p.Len == 4 || p.Offset == source6At)
	far := source == incoming
	switch e := exprs[n-1].(type) {
	case *expr.Lookup:
		if far {
			r.FarIn = e.SetName
		} else {
			r.NearIn = e.SetName
		}
		return n, nil
	case *expr.Cmp:
		switch {
		case p.Base == expr.PayloadBaseNetworkHeader:
			a, ok := netip.AddrFromSlice(e.Data)
			if !ok || !far {
				return 0, errors.New("an address that is none")
			}
			r.Far = netip.PrefixFrom(a, bits)
			return n, nil
		case p.Offset == flagsAt:
			r.IsReset = true
			return n, nil
		case len(e.Data) != portLen:
			return 0, errors.New("a port that is none")
		case far:
			r.FarPort = binary.BigEndian.Uint16(e.Data)
		default:
			r.NearPort = binary.BigEndian.Uint16(e.Data)
		}
		return n, nil
	}
	return 0, fmt.Errorf("%T", exprs[n-1])
}

func ones(mask []byte) int {
	n := 0
	for _, b := range mask {
		for ; b != 0; b &= b - 1 {
			n++
		}
	}
	return n
}
