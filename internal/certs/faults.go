// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"time"
)

// Owner is whose the files must be.
type Owner struct {
	Identity
	// Embedded says that the agents run the store among themselves: then one
	// authority is that of servers and clients, and all of them are this region's.
	Embedded bool
	// Serves are the addresses of this host's own member of the store; empty:
	// none runs here.
	Serves []net.IP
	// Door says that the files are shown to those who ask the agent itself, at the
	// addresses of Serves, and to no store.
	Door bool
}

// Fault is one thing wrong with the files: which, what, and what to do.
type Fault struct {
	File, What, Do string
	// Passes tells that these very files may come to be right, with time or with
	// another host's or authority's: to be said, and no reason not to run.
	Passes bool
}

// Error says it in one line.
func (f Fault) Error() string { return f.File + " " + f.What + "; " + f.Do }

// Check says all that is wrong with the files at that moment.
func (f Files) Check(o Owner, at time.Time) []Fault {
	s, faults := f.load()
	if s == nil {
		return faults
	}
	return append(f.strange(s, o), f.passing(s, o, at)...)
}

// strange says what makes files that can be read another's.
func (f Files) strange(s *Set, o Owner) (faults []Fault) {
	leaf := s.Pair.Leaf
	note := func(do, format string, args ...any) {
		faults = append(faults, Fault{File: f.Cert, What: fmt.Sprintf(format, args...), Do: do})
	}
	id, named, err := IdentityOf(leaf)
	reissue := fmt.Sprintf("issue one for %s (supervisor certs issue)", o.Identity)
	switch {
	case err != nil:
		note(reissue, "names its host in a way that cannot be read: %v", err)
	case named && id.Cluster != o.Cluster:
		note(reissue, "is of cluster %q (%s), this agent is of %q", id.Cluster, id, o.Cluster)
	case named && id.Region != o.Region:
		note(reissue, "is of region %q (%s), this agent is of %q", id.Region, id, o.Region)
	case named && id.Host != o.Host:
		note(reissue+", or mend host.name", "is of host %q (%s), this agent is %q", id.Host, id, o.Host)
	case !named && o.Embedded && !names(leaf, o.Host):
		note(reissue+", or mend host.name", "is of %q, this agent is %q", leaf.Subject.CommonName, o.Host)
	case len(o.Serves) > 0 && !o.Door && leaf.Subject.CommonName != o.Host:
		note(reissue, "has the common name %q; the members of the store know each other by it, and this one is %q", leaf.Subject.CommonName, o.Host)
	}
	for _, ip := range o.Serves {
		if !slices.ContainsFunc(leaf.IPAddresses, ip.Equal) {
			note("issue one with --address "+ip.String(), "does not hold %s, at which %s is reached", ip, o.reached())
		}
	}
	if !o.Door && !serves(leaf, x509.ExtKeyUsageClientAuth) {
		note("issue one with client authentication among its usages", "is not for clients")
	}
	if len(o.Serves) > 0 && !serves(leaf, x509.ExtKeyUsageServerAuth) {
		note("issue one with server authentication among its usages", "is not for servers, and %s shows it", o.reached())
	}
	return faults
}

// reached is what stands at the addresses of Serves.
func (o Owner) reached() string {
	if o.Door {
		return "this agent"
	}
	return "this host's member of the store"
}

func names(c *x509.Certificate, host string) bool {
	return c.Subject.CommonName == host || slices.Contains(c.DNSNames, host)
}

// serves: a certificate that names no usage serves for all.
func serves(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 ||
		slices.Contains(c.ExtKeyUsage, usage) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

const noRestart = "replace the files, no restart is needed"

// passing says what is wrong at that moment.
func (f Files) passing(s *Set, o Owner, at time.Time) (faults []Fault) {
	leaf := s.Pair.Leaf
	note := func(file, do, format string, args ...any) {
		faults = append(faults, Fault{File: file, What: fmt.Sprintf(format, args...), Do: do, Passes: true})
	}
	switch {
	case at.After(leaf.NotAfter):
		note(f.Cert, noRestart, "expired at %s", stamp(leaf.NotAfter))
		return faults
	case at.Before(leaf.NotBefore):
		note(f.Cert, "look at this host's clock, or "+noRestart, "is not valid before %s", stamp(leaf.NotBefore))
		return faults
	}
	// An etcd of the site's own may know its clients by an authority that it does
	// not show them; one that names hosts as ours do is the only one.
	// Those who ask at a door have an authority of their own perhaps.
	_, named, _ := IdentityOf(leaf)
	if o.Door || !named && !o.Embedded {
		return nil
	}
	if len(s.chains(at)) > 0 {
		return nil
	}
	for _, ca := range s.authorities {
		if leaf.CheckSignatureFrom(ca) == nil && at.After(ca.NotAfter) {
			note(f.CA, "make another authority, put both into this file and issue a certificate by the other", "holds the authority of %s, which expired at %s", f.Cert, stamp(ca.NotAfter))
			return faults
		}
	}
	note(f.Cert, fmt.Sprintf("put the certificate of that authority into %s, or issue this one by the authority there", f.CA),
		"is of an authority (%s) that is not in %s", leaf.Issuer.CommonName, f.CA)
	return faults
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// chains are the ways from the certificate to an authority that hold then.
func (s *Set) chains(at time.Time) [][]*x509.Certificate {
	between := x509.NewCertPool()
	for _, der := range s.Pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	chains, err := s.Pair.Leaf.Verify(x509.VerifyOptions{Roots: s.Roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil
	}
	return chains
}

// until is when the certificate ends, or before it the last authority that makes
// it good; of says which of the two.
func (f Files) until(s *Set, at time.Time) (ends time.Time, of string) {
	for _, chain := range s.chains(at) {
		first, file := chain[0].NotAfter, f.Cert
		for _, c := range chain[1:] {
			if c.NotAfter.Before(first) {
				first, file = c.NotAfter, f.CA
			}
		}
		if first.After(ends) {
			ends, of = first, file
		}
	}
	if ends.IsZero() {
		return s.Pair.Leaf.NotAfter, f.Cert
	}
	return ends, of
}
