// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"supervisor/cluster"
)

// roster is the file of `store init --hosts`.
type roster struct {
	Hosts []line `yaml:"hosts"`
}

// line is a cluster.Host as people write it: the key as text, or the file
// that the agent left in its state_dir.
type line struct {
	Name          cluster.Name       `yaml:"name"`
	HostID        cluster.HostID     `yaml:"host_id"`
	Region        cluster.Region     `yaml:"region"`
	Datacenter    cluster.Datacenter `yaml:"datacenter"`
	Rack          cluster.Rack       `yaml:"rack"`
	CQL           string             `yaml:"cql"`
	Storage       string             `yaml:"storage"`
	Gossip        string             `yaml:"gossip"`
	Labels        map[string]string  `yaml:"labels"`
	PublicKey     string             `yaml:"public_key"`
	PublicKeyFile string             `yaml:"public_key_file"`
}

// ReadHosts reads the roster. A public_key_file that is no absolute path is
// looked for beside the roster. A document that is not in order is a Faults;
// any other error means that the file could not be read.
func ReadHosts(path string) ([]cluster.Host, error) {
	text, err := load(path)
	if err != nil {
		return nil, err
	}
	return ParseHosts(path, text)
}

// ParseHosts reads the text of a roster; file is its name in faults, and
// public key files are looked for beside it.
func ParseHosts(file string, text []byte) ([]cluster.Host, error) {
	var r roster
	d := parse(file, "nothing was written", text, &r)
	d.must(len(r.Hosts) > 0, "hosts", "no hosts; write a list of them")
	c := rosterCheck{d, filepath.Dir(file), map[string]cluster.Name{}, map[cluster.Datacenter]cluster.Region{}}
	hosts := make([]cluster.Host, 0, len(r.Hosts))
	for i, l := range r.Hosts {
		hosts = append(hosts, c.host(item("hosts", i), l))
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return hosts, nil
}

// rosterCheck remembers what two hosts must not share.
type rosterCheck struct {
	*document
	dir     string
	owners  map[string]cluster.Name // "cql 127.0.0.1:9042" -> whose it is
	regions map[cluster.Datacenter]cluster.Region
}

var hostID = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func (c rosterCheck) host(path string, l line) cluster.Host {
	h := cluster.Host{Name: l.Name, HostID: l.HostID, Region: l.Region, Datacenter: l.Datacenter, Rack: l.Rack,
		CQL: l.CQL, Storage: l.Storage, Gossip: l.Gossip, Labels: maps.Clone(l.Labels)}
	c.name(path+".name", string(h.Name))
	c.alone(path+".name", "the name", string(h.Name), h.Name)
	c.place(path, h)
	first, known := c.regions[h.Datacenter]
	c.must(!known || first == h.Region || h.Region == "", path+".region", "datacenter %q stands in region %q above; it can stand in one only", h.Datacenter, first)
	if !known {
		c.regions[h.Datacenter] = h.Region
	}
	for _, of := range []struct{ key, value string }{{"cql", h.CQL}, {"storage", h.Storage}, {"gossip", h.Gossip}} {
		if _, ok := c.address(path+"."+of.key, of.value); ok {
			c.alone(path+"."+of.key, "the address", of.value, h.Name)
		}
	}
	if h.HostID != "" && c.must(hostID.MatchString(string(h.HostID)), path+".host_id", "%q is no host ID; write it as nodetool info shows it", h.HostID) {
		c.alone(path+".host_id", "the host ID", string(h.HostID), h.Name)
	}
	c.labels(path+".labels", h.Labels)
	h.PublicKey = c.key(path, l)
	return h
}

// alone notes what must stand once in the whole roster.
func (c rosterCheck) alone(path, what, value string, name cluster.Name) {
	if value == "" {
		return
	}
	owner, taken := c.owners[value]
	if c.must(!taken, path, "%s %q is that of host %q too; give each host its own", what, value, owner) {
		c.owners[value] = name
	}
}

// key returns the host's public key, as written or from the file beside.
func (c rosterCheck) key(path string, l line) string {
	at, text := path+".public_key", l.PublicKey
	switch {
	case l.PublicKey != "" && l.PublicKeyFile != "":
		c.fault(path+".public_key_file", "public_key is given too; write one of both")
		return ""
	case l.PublicKeyFile != "":
		at = path + ".public_key_file"
		var ok bool
		if text, ok = c.publicKeyFile(at, l.PublicKeyFile); !ok {
			return ""
		}
	case l.PublicKey == "":
		if !c.silent(path + ".public_key_file") {
			c.fault(at, "missing; write the text of host.pub from the host's state_dir, or public_key_file: with its path")
		}
		return ""
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if !c.must(err == nil, at, "it is no base64; write the text of host.pub from the host's state_dir") ||
		!c.must(len(raw) == ed25519.PublicKeySize, at, "it has %d bytes, an ed25519 key has %d", len(raw), ed25519.PublicKeySize) {
		return ""
	}
	c.alone(at, "the key", text, l.Name)
	return text
}

func (c rosterCheck) publicKeyFile(path, file string) (string, bool) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(c.dir, file)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", c.must(false, path, "there is no file %s; the agent writes it when it starts for the first time", file)
	case err != nil || !info.Mode().IsRegular():
		return "", c.must(false, path, "%s is no plain file that this user can read", file)
	}
	text, err := load(file)
	return strings.TrimSpace(string(text)), c.must(err == nil, path, "%s cannot be read by this user", file)
}
