// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"supervisor/incident"
	"supervisor/internal/api"
	"supervisor/internal/certs"
	"supervisor/internal/settings"
)

// doorKeeper reads the files of api.tls; nil where nobody asks over the network.
func doorKeeper(cfg settings.Agent) *certs.Keeper {
	if cfg.API.Listen == "" || cfg.API.TLS == nil {
		return nil
	}
	return certs.NewKeeper(certFiles(*cfg.API.TLS), doorOwner(cfg), time.Now)
}

// doorOwner is whose they must be.
func doorOwner(cfg settings.Agent) certs.Owner {
	o := certs.Owner{Door: true, Identity: certs.Identity{Cluster: cfg.Cluster, Region: string(cfg.Region), Host: string(cfg.Host.Name)}}
	if at, err := netip.ParseAddrPort(cfg.API.Listen); err == nil {
		o.Serves = []net.IP{net.IP(at.Addr().AsSlice())}
	}
	return o
}

// remote is the agent's door over the network; nil: none.
func (j *joinery) remote() *api.Remote {
	if j.door == nil {
		return nil
	}
	return &api.Remote{Address: j.cfg.API.Listen, Certs: j.door}
}

// doorLines are what `config check` says of the files of api.tls.
func doorLines(cfg settings.Agent, at time.Time) []string {
	if cfg.API.Listen == "" || cfg.API.TLS == nil {
		return nil
	}
	return certLines("api.tls", cfg.API.TLS, certFiles(*cfg.API.TLS).Check(doorOwner(cfg), at))
}

// withMore adds the findings about the files of api.tls, or of another region's
// store, to those of store.tls, which are the same files as a rule: an agent tells
// each code once. An expired one keeps people out, or a region unread, and not the
// own store, so it is among what is not in order.
func withMore(found []incident.Trouble, st certs.State) []incident.Trouble {
	at := func(code string) int {
		return slices.IndexFunc(found, func(t incident.Trouble) bool { return t.Code == code })
	}
	told := slices.DeleteFunc(slices.Clone(st.Faults), func(f certs.Fault) bool {
		i := at("CERT_EXPIRED")
		return f.Passes && i >= 0 && found[i].Args["file"] == f.File
	})
	if len(told) == 0 {
		if i := slices.IndexFunc(certTroubles(st), func(t incident.Trouble) bool { return t.Code == "CERT_EXPIRING" }); i >= 0 && at("CERT_EXPIRING") < 0 {
			found = append(found, certTroubles(st)[i])
		}
		return found
	}
	detail := certs.Faults(told).Error()
	switch i := at("CERT_REJECTED"); {
	case i < 0:
		return append(found, incident.Trouble{Code: "CERT_REJECTED", Args: map[string]string{"detail": detail}})
	case !strings.Contains(found[i].Args["detail"], detail):
		found[i].Args["detail"] += "; also " + detail
	}
	return found
}
