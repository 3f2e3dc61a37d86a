// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Kind is what a certificate's name is of.
type Kind string

// The kinds. Operators and readers are of the whole cluster, hosts of a region.
const (
	OfHost     Kind = "host"
	OfOperator Kind = "operator"
	OfReader   Kind = "reader"
)

// Bearer is whom a certificate names as the one who asks: a host by its
// Identity, or supervisor://CLUSTER/operator/NAME, supervisor://CLUSTER/reader/NAME.
type Bearer struct {
	Kind    Kind
	Cluster string
	Region  string // of a host only
	Name    string
}

// String spells the URI.
func (b Bearer) String() string {
	if b.Kind == OfHost {
		return Identity{b.Cluster, b.Region, b.Name}.String()
	}
	return (&url.URL{Scheme: scheme, Host: b.Cluster, Path: "/" + string(b.Kind) + "/" + b.Name}).String()
}

// uri is nil for what would not be read back the same.
func (b Bearer) uri() (*url.URL, error) {
	u, err := url.Parse(b.String())
	if err == nil {
		var back Bearer
		if back, err = bearer(u); err == nil && back != b {
			err = fmt.Errorf("cluster %q and name %q make no name for a certificate; write letters, digits and - _ . between them", b.Cluster, b.Name)
		}
	}
	return u, err
}

// ErrNameless is of a certificate without a URI of ours.
var ErrNameless = errors.New("it names nobody: no URI like " + scheme + "://CLUSTER/operator/NAME stands in it")

// BearerOf reads whom a certificate names. One that names nobody, two, or
// somebody of another form is an error: who cannot be told is not let in.
func BearerOf(cert *x509.Certificate) (Bearer, error) {
	u, err := nameOf(cert)
	switch {
	case err != nil:
		return Bearer{}, err
	case u == nil:
		return Bearer{}, ErrNameless
	}
	return bearer(u)
}

// aName is what is written into the journal and onto terminals: others could
// hold what these obey.
var aName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$`)

func bearer(u *url.URL) (Bearer, error) {
	var b Bearer
	switch parts := strings.Split(u.Path, "/"); len(parts) {
	case 3:
		b = Bearer{Kind: Kind(parts[1]), Cluster: u.Host, Name: parts[2]}
		if b.Kind != OfOperator && b.Kind != OfReader {
			return Bearer{}, fmt.Errorf("its name %s is none; write %s://CLUSTER/operator/NAME", u, scheme)
		}
	default:
		id, err := parse(u)
		if err != nil {
			return Bearer{}, err
		}
		b = Bearer{Kind: OfHost, Cluster: id.Cluster, Region: id.Region, Name: id.Host}
	}
	if b.Cluster == "" || !aName.MatchString(b.Name) {
		return Bearer{}, fmt.Errorf("its name %s holds what a name must not; write at most 128 letters, digits and - _ . @", u)
	}
	return b, nil
}

// ofPersons is the usage of a person's certificate. It is not that of TLS
// clients on purpose: the store lets in every client that the authority signed
// for and goes by no URI, so a reader's certificate would command every agent.
const ofPersons = x509.ExtKeyUsageEmailProtection

// Admit tells why the certificate that somebody shows, with those between it and
// its authority behind it, is not believed at that moment.
func (s *Set) Admit(shown []*x509.Certificate, at time.Time) error {
	if len(shown) == 0 {
		return errors.New("no certificate was shown")
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	_, err := shown[0].Verify(x509.VerifyOptions{Roots: s.Roots, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, ofPersons}})
	return Plainly(err, at)
}

// Plainly says in words why a certificate is not believed.
func Plainly(err error, at time.Time) error {
	var bad x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &bad) && bad.Reason == x509.Expired && at.Before(bad.Cert.NotBefore):
		return fmt.Errorf("it is not valid before %s", stamp(bad.Cert.NotBefore))
	case errors.As(err, &bad) && bad.Reason == x509.Expired:
		return fmt.Errorf("it expired at %s", stamp(bad.Cert.NotAfter))
	case errors.As(err, &bad) && bad.Reason == x509.IncompatibleUsage:
		return errors.New("it is not for this use")
	case errors.As(err, &unknown) && unknown.Cert != nil:
		return fmt.Errorf("it is of an authority that is not known there (%s)", unknown.Cert.Issuer.CommonName)
	}
	return err
}

// Read is what stands in the files, or all that makes them unreadable.
func (f Files) Read() (*Set, error) {
	s, faults := f.load()
	return s, Faults(faults)
}

// Ails says what one who shows these files can see in them for himself, when the
// other side does not believe him. His authorities are those of the other side,
// and need not hold his own.
func (s *Set) Ails(at time.Time) string {
	leaf := s.Pair.Leaf
	switch {
	case at.After(leaf.NotAfter):
		return "it expired at " + stamp(leaf.NotAfter)
	case at.Before(leaf.NotBefore):
		return "it is not valid before " + stamp(leaf.NotBefore)
	}
	return fmt.Sprintf("it is of %q, which is none of the authorities there, or it is not for this use", leaf.Issuer.CommonName)
}
