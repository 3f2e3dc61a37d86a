// SPDX-License-Identifier: Apache-2.0

// Package certs makes and reads the certificates by which the hosts of one
// cluster know each other: one authority, and for every host one certificate
// that serves as server and as client. A site that has its own authority makes
// them itself.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The authority's files in its directory. The key signs for every host: it is
// kept off the hosts.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca.key"
)

// Validity of what is made.
const (
	CAYears  = 10
	HostDays = 730
	// PersonDays is short: nothing takes a certificate back before its end but
	// another authority.
	PersonDays = 90
	early      = time.Hour // clocks of hosts differ
)

// ErrExists tells that a file that would be written is there: nothing was
// changed.
var ErrExists = errors.New("is there already")

// caName is the common name of an authority, before that of its cluster.
const caName = "supervisor authority of "

// Init makes an authority in dir, which it makes too. cluster stands in its
// name, and in all that it signs. It never writes over one: the hosts'
// certificates would be worth nothing.
func Init(dir, cluster string, now time.Time) error {
	if _, err := (Identity{Cluster: cluster, Region: "r", Host: "h"}).uri(); err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	template, err := blank(pkix.Name{CommonName: caName + cluster}, now, now.AddDate(CAYears, 0, 0))
	if err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make the authority: %w", err)
	}
	return write(filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile), der, key)
}

// Host is who a certificate is for.
type Host struct {
	Name      string   // the agent's; also the certificate's common name
	Region    string   // in which it stands
	Addresses []net.IP // at which others reach it
}

// Issue makes NAME.pem and NAME.key in the authority's directory. The cluster is
// the authority's.
func Issue(dir string, h Host, now time.Time) error {
	return sign(dir, h.Name, func(cluster string) (*x509.Certificate, error) {
		uri, err := Identity{Cluster: cluster, Region: h.Region, Host: h.Name}.uri()
		if err != nil {
			return nil, err
		}
		c, err := blank(pkix.Name{CommonName: h.Name}, now, now.AddDate(0, 0, HostDays))
		if err != nil {
			return nil, err
		}
		c.DNSNames, c.IPAddresses, c.URIs = []string{h.Name}, h.Addresses, []*url.URL{uri}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		return c, nil
	})
}

// IssuePerson makes NAME.pem and NAME.key for one who asks agents over the
// network, in the authority's directory and of its cluster.
func IssuePerson(dir string, kind Kind, name string, now time.Time) error {
	return sign(dir, name, func(cluster string) (*x509.Certificate, error) {
		uri, err := Bearer{Kind: kind, Cluster: cluster, Name: name}.uri()
		if err != nil {
			return nil, err
		}
		c, err := blank(pkix.Name{CommonName: name}, now, now.AddDate(0, 0, PersonDays))
		if err != nil {
			return nil, err
		}
		c.URIs, c.ExtKeyUsage = []*url.URL{uri}, []x509.ExtKeyUsage{ofPersons}
		return c, nil
	})
}

// sign makes the pair of what template says, which is told the authority's cluster.
func sign(dir, name string, template func(cluster string) (*x509.Certificate, error)) error {
	ca, caKey, err := authority(dir)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	of, ok := strings.CutPrefix(ca.Subject.CommonName, caName)
	if !ok {
		return fmt.Errorf("certificate of %s: %s is of %q and names no cluster; `supervisor certs init` makes one that does", name, CAFile, ca.Subject.CommonName)
	}
	c, err := template(of)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	if c.NotAfter.After(ca.NotAfter) {
		c.NotAfter = ca.NotAfter
	}
	c.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, c, ca, key.Public(), caKey)
	if err != nil {
		return fmt.Errorf("certificate of %s: %w", name, err)
	}
	return write(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), der, key)
}

func blank(name pkix.Name, now, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: name, NotBefore: now.Add(-early), NotAfter: until}, nil
}

// authority reads what Init wrote.
func authority(dir string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	cert, err := block(filepath.Join(dir, CAFile), "CERTIFICATE")
	if err != nil {
		return nil, nil, err
	}
	ca, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", CAFile, err)
	}
	der, err := block(filepath.Join(dir, CAKeyFile), "PRIVATE KEY")
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !key.PublicKey.Equal(ca.PublicKey) {
		return nil, nil, fmt.Errorf("%s is not the key of %s", CAKeyFile, CAFile)
	}
	return ca, key, nil
}

func block(path, kind string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no authority here: %w; `supervisor certs init` makes one", err)
	}
	if err != nil {
		return nil, err
	}
	b, _ := pem.Decode(text)
	if b == nil || b.Type != kind {
		return nil, fmt.Errorf("%s holds no %s in PEM", path, kind)
	}
	return b.Bytes, nil
}

// write puts the key down first: a certificate without its key would stand in
// the way of the next try.
func write(certPath, keyPath string, cert []byte, key *ecdsa.PrivateKey) error {
	for _, path := range []string{certPath, keyPath} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("%s %w", path, ErrExists), err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := create(keyPath, 0o600, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return err
	}
	if err := create(certPath, 0o644, &pem.Block{Type: "CERTIFICATE", Bytes: cert}); err != nil {
		return errors.Join(err, os.Remove(keyPath))
	}
	return nil
}

func create(path string, mode fs.FileMode, b *pem.Block) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pem.Encode(f, b); err != nil {
		return err
	}
	return f.Sync()
}
