// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	etcdUnit  = "etcd.service"
	etcdCerts = "/etc/etcd"
)

// etcdFile is the environment of a member's unit. Members and clients are known by
// certificates of the cluster's authority. The pace is that of the embedded store:
// the machine is busier than a site's.
func (l layout) etcdFile(p place) string {
	var members []string
	for _, m := range l.etcd {
		members = append(members, fmt.Sprintf("%s=https://%s", m.name, m.at(peerPort)))
	}
	var b strings.Builder
	for _, v := range [][2]string{
		{"NAME", string(p.name)},
		{"LISTEN_CLIENT_URLS", "https://" + p.at(clientPort)}, {"ADVERTISE_CLIENT_URLS", "https://" + p.at(clientPort)},
		{"LISTEN_PEER_URLS", "https://" + p.at(peerPort)}, {"INITIAL_ADVERTISE_PEER_URLS", "https://" + p.at(peerPort)},
		{"INITIAL_CLUSTER", strings.Join(members, ",")}, {"INITIAL_CLUSTER_TOKEN", Name}, {"INITIAL_CLUSTER_STATE", "new"},
		{"HEARTBEAT_INTERVAL", "250"}, {"ELECTION_TIMEOUT", "2500"},
		{"CLIENT_CERT_AUTH", "true"}, {"TRUSTED_CA_FILE", etcdCerts + "/ca.pem"}, {"CERT_FILE", etcdCerts + "/host.pem"}, {"KEY_FILE", etcdCerts + "/host.key"},
		{"PEER_CLIENT_CERT_AUTH", "true"}, {"PEER_TRUSTED_CA_FILE", etcdCerts + "/ca.pem"}, {"PEER_CERT_FILE", etcdCerts + "/host.pem"}, {"PEER_KEY_FILE", etcdCerts + "/host.key"},
	} {
		fmt.Fprintf(&b, "ETCD_%s=%q\n", v[0], v[1])
	}
	return b.String()
}

// startEtcd starts the site's etcd, if there is one, and waits until every member
// answers.
func (c *Cluster) startEtcd(ctx context.Context) error {
	if err := on(ctx, c.Etcd, func(ctx context.Context, h *Host) error {
		if err := errors.Join(c.certificate(ctx, h, etcdCerts, "etcd"),
			h.Write(ctx, "/etc/default/etcd", []byte(c.layout.etcdFile(h.place)), 0o644)); err != nil {
			return err
		}
		_, err := h.Run(ctx, "systemctl", "enable", "--now", "--quiet", "--no-block", etcdUnit)
		return err
	}); err != nil {
		return err
	}
	return on(ctx, c.Etcd, func(ctx context.Context, h *Host) error { return h.awaitEtcd(ctx) })
}

// etcdMax bounds the start of a member.
const etcdMax = time.Minute

// awaitEtcd waits until a member is in its cluster: its unit is up when it is.
func (h *Host) awaitEtcd(ctx context.Context) error {
	return await(ctx, etcdMax, fmt.Sprintf("etcd of %s answers", h.Name), func(ctx context.Context) (bool, string) {
		out, err := h.Run(ctx, "systemctl", "is-active", etcdUnit)
		return err == nil, out
	})
}

// LoseEtcd cuts the power of so many members of the site's etcd, until RegainEtcd. Of
// three, the loss of one is nothing, and that of two is the loss of the store.
func (c *Cluster) LoseEtcd(ctx context.Context, members int) error {
	if members < 1 || members > len(c.Etcd) {
		return fmt.Errorf("lose %d members of etcd: there are %d", members, len(c.Etcd))
	}
	return on(ctx, c.Etcd[:members], func(ctx context.Context, h *Host) error { return h.PowerCut(ctx) })
}

// RegainEtcd boots the members that are off, with their data, and waits until all
// answer.
func (c *Cluster) RegainEtcd(ctx context.Context) error {
	return on(ctx, c.Etcd, func(ctx context.Context, h *Host) error {
		if err := h.PowerOn(ctx); err != nil {
			return err
		}
		return h.awaitEtcd(ctx)
	})
}
