// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/internal/certs"
	"supervisor/internal/settings"
)

// keeper reads the files of store.tls; nil where none are named.
func keeper(cfg settings.Agent) *certs.Keeper {
	if cfg.Store.TLS == nil {
		return nil
	}
	return certs.NewKeeper(certFiles(*cfg.Store.TLS), owner(cfg), time.Now)
}

// keeperAbroad reads the files for another region's store; nil where none are named.
func keeperAbroad(cfg settings.Agent, e settings.Elsewhere) *certs.Keeper {
	if e.TLS == nil {
		return nil
	}
	return certs.NewKeeper(certFiles(*e.TLS), ownerAbroad(cfg), time.Now)
}

// ownerAbroad is whose those must be: this host's, and of its cluster whoever serves
// there. The region of that one is another.
func ownerAbroad(cfg settings.Agent) certs.Owner {
	o := owner(cfg)
	o.Embedded, o.Serves = false, nil
	return o
}

func certFiles(t settings.TLS) certs.Files { return certs.Files{Cert: t.Cert, Key: t.Key, CA: t.CA} }

// owner is whose they must be.
func owner(cfg settings.Agent) certs.Owner {
	o := certs.Owner{Embedded: cfg.Store.Embedded != nil,
		Identity: certs.Identity{Cluster: cfg.Cluster, Region: string(cfg.Region), Host: string(cfg.Host.Name)}}
	if m, runs := cfg.Member(); runs {
		for _, address := range []string{m.Client, m.Peer} {
			if at, err := netip.ParseAddrPort(address); err == nil {
				o.Serves = append(o.Serves, net.IP(at.Addr().AsSlice()))
			}
		}
	}
	return o
}

// checkCertificates says what is wrong with the files of store.tls, as lines of
// `config check`.
func checkCertificates(cfg settings.Agent, at time.Time) []certs.Fault {
	if cfg.Store.TLS == nil {
		return nil
	}
	return certFiles(*cfg.Store.TLS).Check(owner(cfg), at)
}

// certLines names the line of the agent's file with each; under is the section.
func certLines(under string, t *settings.TLS, faults []certs.Fault) (lines []string) {
	for _, f := range faults {
		of := "cert"
		switch f.File {
		case t.Key:
			of = "key"
		case t.CA:
			of = "ca"
		}
		lines = append(lines, under+"."+of+": "+f.Error())
	}
	return lines
}

// certLinesAbroad are those of other regions' stores which have files of their own.
func certLinesAbroad(cfg settings.Agent, at time.Time) (lines []string) {
	for _, r := range ownFiles(cfg) {
		t := cfg.Regions[r].TLS
		lines = append(lines, certLines("regions."+string(r)+".tls", t, certFiles(*t).Check(ownerAbroad(cfg), at))...)
	}
	return lines
}

// ownFiles are the regions whose stores are shown other files than the own one.
func ownFiles(cfg settings.Agent) (regions []cluster.Region) {
	for _, r := range slices.Sorted(maps.Keys(cfg.Regions)) {
		if t := cfg.Regions[r].TLS; t != nil && (cfg.Store.TLS == nil || *t != *cfg.Store.TLS) {
			regions = append(regions, r)
		}
	}
	return regions
}

// kept are files that others than the own store are shown.
type kept struct {
	*certs.Keeper
	lacking string // what the last look found wrong with them
}

// besides are those: for the stores of other regions, and for the door.
func besides(cfg settings.Agent) (all []*kept) {
	for _, r := range ownFiles(cfg) {
		all = append(all, &kept{Keeper: keeperAbroad(cfg, cfg.Regions[r])})
	}
	if k := doorKeeper(cfg); k != nil {
		all = append(all, &kept{Keeper: k})
	}
	return all
}

// impossible is the error of an agent that could never reach its store with the
// files that it has. What time mends, an expired certificate, keeps nobody from
// starting: the gate must be answered and the node observed.
func impossible(file string, cfg settings.Agent, at time.Time) error {
	lines := certLines("store.tls", cfg.Store.TLS, certs.Lasting(checkCertificates(cfg, at)))
	if len(lines) == 0 {
		return nil
	}
	return unfit(file, lines)
}

// endsSoon is how long before its end a certificate is a finding: a fortnight
// has at least one day on which people are at work.
const endsSoon = 14 * 24 * time.Hour

// settled leaves out what the files lack while they are replaced, one after the
// other: it is told when the next look finds the same. before is what that look
// found, and is noted for the next.
func settled(st certs.State, before *string) certs.State {
	said := ""
	if err := certs.Faults(st.Faults); err != nil {
		said = err.Error()
	}
	passing := st.Old && said != *before
	if *before = said; passing {
		st.Faults, st.Old = nil, false
	}
	return st
}

// certTroubles are the findings about the files.
func certTroubles(st certs.State) (found []incident.Trouble) {
	left := st.Until.Sub(st.At)
	at := map[string]string{"at": st.Until.UTC().Format("2006-01-02 15:04 UTC"), "file": st.Of}
	expired := !st.Until.IsZero() && left < 0
	switch {
	case expired:
		found = append(found, incident.Trouble{Code: "CERT_EXPIRED", Args: at})
	case !st.Until.IsZero() && left <= endsSoon:
		at["left"] = days(left)
		found = append(found, incident.Trouble{Code: "CERT_EXPIRING", Args: at})
	}
	if len(st.Faults) == 0 || expired && !st.Old && len(certs.Lasting(st.Faults)) == 0 {
		return found
	}
	detail := certs.Faults(st.Faults).Error()
	if st.Old {
		detail += "; what stood there before is used"
	}
	return append(found, incident.Trouble{Code: "CERT_REJECTED", Args: map[string]string{"detail": detail}})
}

// days spells a time that is left: whole days, so that the word changes once a day.
func days(left time.Duration) string {
	switch n := int(left / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}
