// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// cutTable holds the rules of cuts and losses, and nobody else's.
const cutTable = "suite"

// Cut drops all packets between this host and others, or with none named between it
// and every host of the cluster, until Cluster.Heal. Of two nodes that a third one
// still hears, neither hears the other: what is heard is then not transitive.
func (h *Host) Cut(ctx context.Context, others ...*Host) error {
	others = h.others(others)
	errs := []error{h.CutFrom(ctx, others...)}
	for _, o := range others {
		errs = append(errs, o.CutFrom(ctx, h))
	}
	return errors.Join(errs...)
}

// CutFrom drops all that comes from other hosts to this one, or with none named
// from every host of the cluster. What this host sends arrives. (Packets are dropped
// where they arrive: a sender's own rule would tell it that it may not send.)
func (h *Host) CutFrom(ctx context.Context, others ...*Host) error { return h.drop(ctx, "", others) }

// CutOff drops all packets between these hosts and every other one of the cluster: a
// rack, a datacenter or a site that stands alone, until Heal.
func (c *Cluster) CutOff(ctx context.Context, side ...*Host) error {
	rest := slices.DeleteFunc(c.All(), func(h *Host) bool { return slices.Contains(side, h) })
	if len(side) == 0 || len(rest) == 0 {
		return errors.New("cut hosts off: want some, and not all")
	}
	return on(ctx, c.All(), func(ctx context.Context, h *Host) error {
		if slices.Contains(side, h) {
			return h.CutFrom(ctx, rest...)
		}
		return h.CutFrom(ctx, side...)
	})
}

// LoseFrom drops a share, of 1 to 99 percent, of the packets that come from others.
func (h *Host) LoseFrom(ctx context.Context, percent int, others ...*Host) error {
	if percent < 1 || percent > 99 {
		return fmt.Errorf("lose %d %% of the packets: want 1 to 99", percent)
	}
	return h.drop(ctx, fmt.Sprintf("numgen random mod 100 < %d", percent), others)
}

// others are these hosts, or with none named all but this one.
func (h *Host) others(named []*Host) []*Host {
	if len(named) == 0 {
		named = h.l.All()
	}
	return slices.DeleteFunc(slices.Clone(named), func(o *Host) bool { return o == h })
}

func (h *Host) drop(ctx context.Context, share string, others []*Host) error {
	rules := "add table inet " + cutTable + "\nadd chain inet " + cutTable + " in { type filter hook input priority raw; }\n"
	for _, o := range h.others(others) {
		rules += fmt.Sprintf("add rule inet %s in ip saddr %s %s counter drop\n", cutTable, o.Address, share)
	}
	if err := h.Write(ctx, broughtDir+"/cut.nft", []byte(rules), 0o600); err != nil {
		return err
	}
	_, err := h.Run(ctx, "nft", "-f", broughtDir+"/cut.nft")
	return err
}

var dropped = regexp.MustCompile(`counter packets (\d+) `)

// Dropped is how many packets were dropped here since the last Heal.
func (h *Host) Dropped(ctx context.Context) (int, error) {
	text, err := h.Run(ctx, "nft", "add table inet "+cutTable+"; list table inet "+cutTable)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, found := range dropped.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(found[1])
		if err != nil {
			return 0, fmt.Errorf("count what %s dropped: %w", h.Name, err)
		}
		sum += n
	}
	return sum, nil
}

// Heal ends all cuts and losses of the cluster.
func (c *Cluster) Heal(ctx context.Context) error {
	return on(ctx, c.All(), func(ctx context.Context, h *Host) error { return h.Heal(ctx) })
}

// Heal ends all cuts and losses at this host. It may be called without any.
func (h *Host) Heal(ctx context.Context) error {
	_, err := h.Run(ctx, "nft", "add table inet "+cutTable+"; delete table inet "+cutTable)
	return err
}
