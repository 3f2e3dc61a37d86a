// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
)

// wellNamed is what may stand in a key of the store, in a proxy's
// configuration, in a metric's label and on a command line without quotes.
var wellNamed = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,126}[A-Za-z0-9_])?$`)

// CheckName tells what is wrong with the name of a cluster, region or host.
func CheckName(name string) error {
	if !wellNamed.MatchString(name) {
		return fmt.Errorf("the name %q holds what a name must not; write at most 128 letters, digits and - _ . between them", name)
	}
	return nil
}

// name checks the name of a cluster, region, datacenter, rack or host.
func (d *document) name(path, name string) bool {
	if name == "" {
		return d.must(false, path, "missing; a name is wanted")
	}
	return d.must(wellNamed.MatchString(name), path,
		"%q holds what a name must not; write at most 128 letters, digits and - _ . between them", name)
}

// address checks IP:port. Names are refused: a name server must not decide
// who is watched or told to stop.
func (d *document) address(path, s string) (netip.AddrPort, bool) {
	if s == "" {
		return netip.AddrPort{}, d.must(false, path, "missing; write IP:port")
	}
	at, err := netip.ParseAddrPort(s)
	if err != nil || at.Port() == 0 {
		return at, d.must(false, path, "%q is no address; write IP:port, as in 127.0.0.1:9042", s)
	}
	return at, d.must(!at.Addr().IsUnspecified(), path, "%q means every address of the host; write the one that others use", s)
}

// absolute checks a path: the agent's working directory is nobody's choice.
func (d *document) absolute(path, s string) bool {
	if s == "" {
		return d.must(false, path, "missing; write an absolute path")
	}
	return d.must(filepath.IsAbs(s) && filepath.Clean(s) == strings.TrimSuffix(s, "/") || s == "/", path,
		"%q is no absolute path in plain form; write it from / on, without . and ..", s)
}

// socketMax is the longest path of a unix socket on Linux, in bytes.
const socketMax = 107

func (d *document) socket(path, s string) {
	if d.absolute(path, s) {
		d.must(len(s) <= socketMax, path, "the path has %d bytes, a unix socket may have %d; write a shorter one", len(s), socketMax)
	}
}
