// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
)

// scheme of the URI by which a certificate says who its host is.
const scheme = "supervisor"

// Identity is a host as its certificate names it. It stands there as one URI
// among the subject's alternative names, supervisor://CLUSTER/REGION/host/NAME:
// the cluster is the URI's host, so that an authority whose name constraints
// permit one cluster only cannot sign for another.
type Identity struct{ Cluster, Region, Host string }

// String spells the URI.
func (i Identity) String() string {
	return (&url.URL{Scheme: scheme, Host: i.Cluster, Path: "/" + i.Region + "/host/" + i.Host}).String()
}

// uri is nil for what a certificate could not say in a way that is read back the
// same: a name with a slash, or two dots in a row in that of the cluster.
func (i Identity) uri() (*url.URL, error) {
	u, err := url.Parse(i.String())
	if err == nil {
		var back Identity
		if back, err = parse(u); err == nil && back != i || strings.Contains(i.Cluster, "..") {
			err = fmt.Errorf("cluster %q, region %q and host %q make no name for a certificate; write letters, digits and - _ . between them",
				i.Cluster, i.Region, i.Host)
		}
	}
	return u, err
}

// IdentityOf reads who a certificate is for. named is false where it bears no
// such URI, as one of a site's own authority may: then only its names and
// addresses are known. Two of them, or one of another form, are an error.
func IdentityOf(cert *x509.Certificate) (id Identity, named bool, err error) {
	u, err := nameOf(cert)
	if u == nil || err != nil {
		return Identity{}, err != nil, err
	}
	id, err = parse(u)
	return id, true, err
}

// nameOf is the one URI of ours that a certificate bears; nil: none.
func nameOf(cert *x509.Certificate) (name *url.URL, err error) {
	for _, u := range cert.URIs {
		switch {
		case u.Scheme != scheme:
		case name != nil:
			return nil, fmt.Errorf("it bears two names, %s and %s", name, u)
		default:
			name = u
		}
	}
	return name, nil
}

func parse(u *url.URL) (Identity, error) {
	parts := strings.Split(u.Path, "/")
	if len(parts) != 4 || parts[0] != "" || parts[2] != "host" || u.Host == "" || parts[1] == "" || parts[3] == "" {
		return Identity{}, fmt.Errorf("its name %s is none; write %s://CLUSTER/REGION/host/NAME", u, scheme)
	}
	return Identity{Cluster: u.Host, Region: parts[1], Host: parts[3]}, nil
}
