// SPDX-License-Identifier: Apache-2.0

package haproxy

import (
	"fmt"
	"strings"
)

// Unreachable says that the proxy gave no whole answer in time. Whether it
// took what was sent is not known: Read tells.
type Unreachable struct {
	Proxy   string
	Address string
	Err     error
}

// Error makes an Unreachable printable where errors are.
func (u Unreachable) Error() string {
	return fmt.Sprintf("proxy %s at %s is unreachable: %v", u.Proxy, u.Address, u.Err)
}

// Unwrap returns the cause.
func (u Unreachable) Unwrap() error { return u.Err }

// Refused says that the proxy understood a command and did not do it. The
// other commands of the same call are not affected.
type Refused struct {
	Proxy   string
	Command string
	Answer  string // the proxy's own words, first line
}

// Error makes a Refused printable where errors are.
func (r Refused) Error() string {
	return fmt.Sprintf("proxy %s refuses %q: %s", r.Proxy, r.Command, r.Answer)
}

// Garbage says that the answer is not one of HAProxy's, so nothing of it was
// believed. Most often the socket belongs to another program.
type Garbage struct {
	Proxy string
	Why   string
	Text  string // the beginning of what could not be read
}

// Error makes a Garbage printable where errors are.
func (g Garbage) Error() string {
	return fmt.Sprintf("proxy %s answers what cannot be read: %s: %q", g.Proxy, g.Why, g.Text)
}

// quoteMax bounds what is quoted of an answer, in bytes: enough to recognise
// it, too little to fill a log.
const quoteMax = 160

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
	if len(line) > quoteMax {
		line = line[:quoteMax]
	}
	return strings.ToValidUTF8(line, "?")
}
