// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Files are the PEM files by which a host is known and knows others.
type Files struct{ Cert, Key, CA string }

// bytesMax is the longest file taken: a bundle of very many authorities.
const bytesMax = 1 << 20

// Set is what stood in the three files at one moment. Nothing in it changes.
type Set struct {
	Pair  tls.Certificate
	Roots *x509.CertPool
	CA    []byte // the text of Roots

	authorities []*x509.Certificate
}

// load reads the files. Without a set the faults say why; each file is looked
// at for itself, so that all is said at once.
func (f Files) load() (*Set, []Fault) {
	s := &Set{}
	var faults []Fault
	note := func(fault Fault) bool {
		if fault != (Fault{}) {
			faults = append(faults, fault)
		}
		return fault == Fault{}
	}
	chain, fault := certificates(f.Cert)
	note(fault)
	if key, fault := f.key(); note(fault) && len(chain) > 0 {
		var pair bytes.Buffer
		for _, c := range chain {
			_ = pem.Encode(&pair, &pem.Block{Type: certificate, Bytes: c.Raw}) // a buffer takes everything
		}
		var err error
		if s.Pair, err = tls.X509KeyPair(pair.Bytes(), key); err != nil {
			note(Fault{File: f.Key, What: fmt.Sprintf("holds no key that belongs to the certificate in %s (%v)", f.Cert, err),
				Do: "put both files there as they were issued together"})
		}
	}
	if s.authorities, fault = certificates(f.CA); note(fault) {
		s.Roots = x509.NewCertPool()
		for _, c := range s.authorities {
			s.Roots.AddCert(c)
			s.CA = append(s.CA, c.Raw...)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return s, nil
}

const certificate = "CERTIFICATE"

// begin is how a PEM block begins.
var begin = []byte("-----BEGIN ")

// certificates reads all of a file. What stands beside them is passed over, as
// a file may hold the key too.
func certificates(path string) ([]*x509.Certificate, Fault) {
	text, fault := read(path)
	if fault != (Fault{}) {
		return nil, fault
	}
	var all []*x509.Certificate
	kinds, rest, blocks := []string(nil), text, 0
	for {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		blocks++
		if b.Type != certificate {
			kinds = append(kinds, b.Type)
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, Fault{File: path, What: fmt.Sprintf("holds a certificate that cannot be read (%v)", err), Do: asIssued}
		}
		all = append(all, c)
	}
	switch {
	case blocks < bytes.Count(text, begin) && bytes.Contains(text, []byte("----------BEGIN ")):
		return nil, Fault{File: path, What: "holds an end and a beginning of two PEM blocks in one line", Do: "put a line break between the files that were joined"}
	case bytes.Contains(rest, begin):
		return nil, Fault{File: path, What: "ends in the middle of a PEM block", Do: asIssued}
	case blocks < bytes.Count(text, begin): // the library passes over what it cannot read
		return nil, Fault{File: path, What: "holds a PEM block that cannot be read", Do: asIssued}
	case len(all) > 0:
		return all, Fault{}
	case len(kinds) > 0:
		return nil, Fault{File: path, What: fmt.Sprintf("holds %s and no certificate", strings.ToLower(strings.Join(kinds, ", "))), Do: "put the certificate there"}
	}
	return nil, Fault{File: path, What: "is no PEM", Do: "put the certificate there in PEM"}
}

const asIssued = "put the whole file there as it was issued"

// key reads the private key; others must not.
func (f Files) key() ([]byte, Fault) {
	if info, err := os.Stat(f.Key); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, Fault{File: f.Key, What: fmt.Sprintf("has mode %04o, others may read the key", info.Mode().Perm()),
			Do: "make it 0600, and issue a new one if somebody may have read it"}
	}
	text, fault := read(f.Key)
	if fault != (Fault{}) {
		return nil, fault
	}
	var kinds []string
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if strings.HasSuffix(b.Type, "PRIVATE KEY") && b.Type != "ENCRYPTED PRIVATE KEY" && b.Headers["DEK-Info"] == "" {
			return text, Fault{}
		}
		kinds = append(kinds, b.Type)
	}
	if len(kinds) > 0 {
		return nil, Fault{File: f.Key, What: fmt.Sprintf("holds %s and no private key in the clear", strings.ToLower(strings.Join(kinds, ", "))), Do: "put the key there"}
	}
	return nil, Fault{File: f.Key, What: "is no PEM", Do: "put the key there in PEM"}
}

func read(path string) ([]byte, Fault) {
	file, err := os.Open(path)
	var text []byte
	if err == nil {
		defer file.Close()
		text, err = io.ReadAll(io.LimitReader(file, bytesMax+1))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, Fault{File: path, What: "is not there", Do: "put it there, or name another"}
	case err != nil:
		return nil, Fault{File: path, What: fmt.Sprintf("cannot be read (%v)", errors.Unwrap(err)), Do: "let the agent's user read it"}
	case len(bytes.TrimSpace(text)) == 0:
		return nil, Fault{File: path, What: "is empty", Do: asIssued}
	case len(text) > bytesMax:
		return nil, Fault{File: path, What: fmt.Sprintf("is longer than %d bytes", bytesMax), Do: "leave out what is not needed"}
	}
	return text, Fault{}
}
