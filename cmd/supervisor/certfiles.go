// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/netip"
	"time"

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
