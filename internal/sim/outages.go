// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"time"

	"supervisor/cluster"
	"supervisor/incident"
	"supervisor/residency"
)

// hasty are outages in which too little was known, or the old side was not
// shut out.
func hasty() []Scenario {
	return []Scenario{
		Scenario{
			Name:  "github-2018",
			Story: "GitHub, October 2018: a link was down for less than a minute, and primaries were moved at once; here a link is down for a second.",
			Options: small(1, time.Minute,
				hitFor(2*second, 1100*time.Millisecond, "cut-both", 3)),
			Guard: string(incident.RuleEvidence),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) {
					p.Detection.MissesMax, p.Detection.Stable, p.Detection.StableMax = 1, 1, 1
				})
			},
		}.truths(nobodySuspected()),
		{
			Name:  "github-2018-unfenced",
			Story: "GitHub, October 2018: the new side was put to work while the old one was not shut out; here a sleeper is repaired of which a peer says that it is up.",
			Options: small(1, 2*time.Minute,
				hitFor(0, 90*second, "hibernation-missed", 3), hit(second, "kill", 3)),
			Guard:  string(incident.RuleHibernation),
			Remove: func(o *Options) { o.Bug = believeDown },
			Breaks: hibernationDown,
		},
		Scenario{
			Name:  "github-2012",
			Story: "GitHub, September 2012: a heavy migration made a healthy database slow, and it was failed over for dead.",
			Options: small(1, time.Minute,
				hitFor(2*second, 30*second, "gray", 3)),
			Guard:  string(incident.RuleEvidence),
			Remove: func(o *Options) { o.Bug = impatient },
		}.truths(nobodySuspected()),
		Scenario{
			Name:  "gocardless-2017",
			Story: "GoCardless, October 2017: several things at once made a promotion impossible, and it was tried on and on; here a node is down and its agent says nothing.",
			Options: small(1, 6*time.Minute,
				hitFor(second, 330*second, "agent-stopped", 3), hit(2*second, "kill", 3)),
			Guard: string(incident.RuleDeadline),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Ages.Replace = 24 * time.Hour })
			},
		}.truths(personIsAsked(3 * time.Minute)).policy(func(p *incident.Policy) { p.Ages.Replace = 2 * time.Minute }),
		{
			Name:  "cloudflare-2020",
			Story: "Cloudflare, November 2020: a switch failed halfway, so that who reached whom was not the same for all; leaders followed one another, and each acted.",
			Options: small(8, 2*time.Minute,
				hitFor(second, 40*second, "cut-pair", 1), hitFor(second, 40*second, "store-lease-lies", 2), hit(10*second, "kill", 3)),
			Guard:  "store-compare",
			Remove: func(o *Options) { o.Bug = noCompare },
			Breaks: legalEdges,
		},
	}
}

// crowded are outages in which many acted at once, again and again, or by a plan
// that was old or not whole.
func crowded() []Scenario {
	return []Scenario{
		Scenario{
			Name:  "ebs-2011",
			Story: "AWS EBS, April 2011: many volumes lost their mirrors in one moment and all looked for new ones at once; here a rack comes back from a power cut.",
			Options: rack(1, time.Minute,
				Stroke{At: second, Fault: "rack-power", Node: 3, Salt: 5}),
			Guard: string(incident.RuleBudget),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Budgets.NodesPerDatacenter = 100 })
			},
		}.truths(changedAtMost(1)),
		Scenario{
			Name:  "dynamodb-2025",
			Story: "AWS DynamoDB, October 2025: one of several writers of records was late and wrote an old plan over a newer one; here the first writer of a pool has lost the store.",
			Options: small(1, 3*time.Minute,
				hit(second, "kill", 3), hitFor(100*second, 60*second, "cut-store", 0), hit(105*second, "kill-anyway", 4)),
			Guard:  "newest-writer",
			Remove: func(o *Options) { o.Bug = oldWriter },
		}.truths(newestPlanStands()),
		Scenario{
			Name:  "azure-2012",
			Story: "Azure, February 2012: every new machine failed by the same fault of its software, and healing went on making new ones; here a process ends after each start.",
			Options: small(2, 2*time.Minute,
				Stroke{At: second, Fault: "restart-loop", Node: 3, Salt: 4}),
			Guard: string(incident.RuleRate),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Budgets.StartsMax = 100 })
			},
		}.truths(startedAtMost(2)).policy(func(p *incident.Policy) { p.Budgets.StartsMax, p.Return.TriesMax = 2, 100 }),
		{
			Name:  "google-2016",
			Story: "Google Compute Engine, April 2016: a generator wrote a configuration without what it should have kept, and it was rolled out; here a policy loses its pools while a member is out.",
			Options: small(1, 3*time.Minute,
				hit(second, "kill", 3), hitFor(8*second, 2*time.Minute, "policy-partial", 0)),
			Guard:  string(incident.RulePolicy),
			Remove: func(o *Options) { o.Bug = lenient },
			Breaks: string(incident.ClosedIsQuiet),
		},
	}
}

// repeating are outages in which the cure went on, or blank or missing words
// meant something.
func repeating() []Scenario {
	return []Scenario{
		Scenario{
			Name:  "facebook-2010",
			Story: "Facebook, September 2010: what mended a wrong value made more of the errors that it was to mend; here each start of a sleeper makes the error that ends it.",
			Options: small(2, 2*time.Minute,
				append(repeated(0, 110*second, 2*second, "hibernation-missed", 3), hit(second, "kill", 3))...),
			Guard: string(incident.RuleHibernation),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Return.TriesMax = 1000 })
			},
		}.truths(startedAtMost(3)),
		Scenario{
			Name:  "facebook-2021",
			Story: "Facebook, October 2021: every site found itself unhealthy in the same moment, and each took itself out; here three of nine fail at once.",
			Options: rack(1, time.Minute,
				Stroke{At: second, Fault: "rack-power", Node: 3, Salt: 5}),
			Guard: string(incident.RuleStorm),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Detection.StormShare = 1 })
			},
		}.truths(outAtMost(2)),
		{
			Name:  "diskerase",
			Story: "Google, as told in its book on reliability: a decommission was run a second time and did what had been done already; here an agent dies before it tells that it is done.",
			Options: small(1, 3*time.Minute,
				Stroke{At: 0, Fault: "crash-at-step", Node: 3, Salt: 1}, hit(second, "kill", 3)),
			Guard:  intentOnce,
			Remove: func(o *Options) { o.Bug = forgetMarks },
			Breaks: intentOnce,
		},
		Scenario{
			Name:    "unisuper-2024",
			Story:   "Google Cloud and UniSuper, May 2024: a value was left blank, and blank meant something that destroys; here nobody said where the data may stand.",
			Options: small(1, 3*time.Minute, hit(second, "kill", 3)),
			Guard:   string(incident.NoBorderCrossing),
			Remove: func(o *Options) {
				policed(o, func(p *incident.Policy) { p.Residency = residency.Open([]cluster.Region{"eu", "us"}) })
			},
			Breaks: string(incident.NoBorderCrossing),
		}.policy(func(p *incident.Policy) { p.Residency = residency.Policy{} }),
		Scenario{
			Name:    "etcd-15247",
			Story:   "etcd issue 15247: a leader with a slow disk ended every lease, and whoever held one passed for dead.",
			Options: small(1, time.Minute, repeated(second, 20*second, second, "store-lease-burst", 0)...),
			Guard:   string(incident.UnknownDestroysNothing),
			Remove:  func(o *Options) { o.Bug = leaseIsLife },
		}.truths(nobodySuspected()),
	}
}
