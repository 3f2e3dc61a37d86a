// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"supervisor/incident"
	"supervisor/internal/agent"
	"supervisor/internal/etcd"
	"supervisor/internal/lead"
	"supervisor/internal/settings"
	"supervisor/internal/store"
)

// recovering is one `store recover`.
type recovering struct {
	config, backup, member string
	inPlace, join          bool
	reason, confirm        string
	era                    uint32

	cfg  settings.Agent
	seen agent.Horizon // what this host's agent knew of the store
	now  time.Time
	out  io.Writer
}

func newStoreRecover() *cobra.Command {
	var r recovering
	c := &cobra.Command{
		Use:   "recover (--from-backup FILE | --from-member DIR | --in-place | --join) --reason R",
		Short: "Bring a lost store back from a copy, as a store of a higher era",
		Long: "For a store whose majority is lost for good, or that must be brought back from a backup. Run it on one\n" +
			"control host while no member runs: a new store with the member of this host is made of the copy, and the\n" +
			"directory that stands there is set aside, never deleted. Then run it with --join on the other control\n" +
			"hosts, which sets their old directories aside, and start the agents: they join by themselves.\n" +
			"--in-place is for an etcd of the site's own that was restored with its own means.\n" +
			"The agents go over to the higher era and only observe until `supervisor store acknowledge`.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c) },
	}
	configFlag(c, &r.config)
	f := c.Flags()
	f.StringVar(&r.backup, "from-backup", "", "a file of `store backup`")
	f.StringVar(&r.member, "from-member", "", "the store's directory of a member that is left and does not run")
	f.BoolVar(&r.inPlace, "in-place", false, "raise the era of the store that answers: it was restored by the site")
	f.BoolVar(&r.join, "join", false, "set this host's old member aside, so that it joins a store that was recovered elsewhere")
	f.StringVar(&r.reason, "reason", "", "why; kept with the era")
	f.StringVar(&r.confirm, "confirm", "", "the name of the cluster, in place of typing it")
	f.Uint32Var(&r.era, "era", 0, "the new era at the least: higher than any that an agent has seen")
	return c
}

// recoverMax is for the largest store, 512 MiB, copied and read twice.
const recoverMax = 10 * time.Minute

func (r recovering) run(c *cobra.Command) (err error) {
	ways := 0
	for _, chosen := range []bool{r.backup != "", r.member != "", r.inPlace, r.join} {
		if chosen {
			ways++
		}
	}
	if ways != 1 {
		return usage(c, errors.New("from what? one of --from-backup, --from-member, --in-place and --join"))
	}
	if strings.TrimSpace(r.reason) == "" && !r.join {
		return usage(c, errors.New("--reason is missing: others will wonder later"))
	}
	if r.cfg, err = settings.ReadAgent(r.config); err != nil {
		return inFile(err)
	}
	if r.seen, err = agent.HorizonIn(r.cfg.StateDir); err != nil {
		return fmt.Errorf("what this host's agent knew of the store: %w", err)
	}
	r.now, r.out = time.Now().UTC().Truncate(time.Second), c.OutOrStdout()
	ctx, cancel := context.WithTimeout(c.Context(), recoverMax)
	defer cancel()
	switch {
	case r.join:
		return r.setAside(ctx)
	case r.inPlace:
		return r.raise(ctx, func() error { return r.confirmed(c) })
	}
	return r.restore(ctx, func() error { return r.confirmed(c) })
}

// refuse ends a recovery that has done nothing.
func refuse(code string, err error, remedy ...string) error {
	return failure{err: err, code: code, exit: exitRefused, remedy: append([]string{"Nothing was changed."}, remedy...)}
}

// confirmed wants the cluster's name typed: what was written after the copy was
// taken is given up for good.
func (r recovering) confirmed(c *cobra.Command) error {
	typed := r.confirm
	if typed == "" && onTerminal(c) {
		fmt.Fprintf(c.ErrOrStderr(), "type %s to do it: ", r.cfg.Cluster)
		typed, _ = bufio.NewReader(c.InOrStdin()).ReadString('\n')
	}
	if strings.TrimSpace(typed) != r.cfg.Cluster {
		return refuse("CONFIRM_WRONG", fmt.Errorf("it is confirmed with the name of the cluster, %s", r.cfg.Cluster), "add --confirm "+r.cfg.Cluster)
	}
	return nil
}

// restore makes a new store of a copy, in the place of this host's member.
func (r recovering) restore(ctx context.Context, confirmed func() error) error {
	o, runs := embedOptions(r.cfg, zap.NewNop())
	if !runs {
		return refuse("STORE_EXTERNAL", errors.New("the agent's file names no member of the store on this host"),
			"for an etcd of the site's own: restore it with its own means, then supervisor store recover --in-place")
	}
	from, err := r.source()
	if err == nil {
		err = errors.Join(r.nobodyRuns(ctx, o), ownedHere(o.Dir, r.cfg.StateDir))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "PLAN  the store of %s/%s comes back from %s\n"+
		"  1 a new store of one member, %s, in %s, with an era above all that the copy and this host know\n"+
		"  2 what stands there now is set aside beside it and kept\n"+
		"  3 every agent goes over to it, and only observes until supervisor store acknowledge\n"+
		"what was written after the copy was taken is given up; it may have been done\n", r.cfg.Cluster, r.cfg.Region, from, o.Name, o.Dir)
	if err := confirmed(); err != nil {
		return err
	}
	anew := o
	anew.Dir = o.Dir + ".recovering"
	anew.Token = fmt.Sprintf("%srecovered-%s", o.Token, newBoot()) // names the etcd cluster: it must be another than any before
	var doc lead.EraDoc
	var copied int64
	err = etcd.Recover(ctx, anew, from, store.Prefix(r.cfg.Cluster, r.cfg.Region), func(s store.Sight) (b []byte, err error) {
		doc, b, err = r.next(s, from.String())
		copied = s.Rev
		return b, err
	})
	switch {
	case errors.Is(err, os.ErrExist):
		return refuse("STORE_RECOVERING", fmt.Errorf("%s is there already: another recovery runs, or ended in its middle", anew.Dir), "if none runs, move it away and try again")
	case err != nil:
		return asRecovery(err)
	}
	aside, err := inPlaceOf(anew.Dir, o.Dir, r.now)
	if err != nil {
		return fmt.Errorf("the recovered store is whole in %s, and could not be put into its place: %w", anew.Dir, err)
	}
	fmt.Fprintf(r.out, "store recovered: era %d, at revision %d, in %s\n", doc.Era, copied, o.Dir)
	if aside != "" {
		fmt.Fprintf(r.out, "set aside: %s\n", aside)
	}
	fmt.Fprintf(r.out, "next: start this host's agent; on the other control hosts `supervisor store recover --join`, then start theirs;\n"+
		"look at it, then `supervisor store acknowledge --era %d --reason …`\n", doc.Era)
	return nil
}

// source is the copy, checked before anything else is done.
func (r recovering) source() (etcd.Source, error) {
	from := etcd.Source{Backup: r.backup, Member: r.member}
	var err error
	if from.Backup != "" {
		from.Backup, err = filepath.Abs(from.Backup)
	} else {
		from.Member, err = filepath.Abs(from.Member)
	}
	if err != nil {
		return from, err
	}
	if err := from.Check(); err != nil {
		return from, asRecovery(err)
	}
	return from, nil
}

// asRecovery says what would be right.
func asRecovery(err error) error {
	switch {
	case errors.Is(err, etcd.ErrInUse):
		return refuse("STORE_IN_USE", err, "stop the agent whose member it is; its store is not lost while a majority runs")
	case errors.Is(err, etcd.ErrNoBackup):
		return refuse("BACKUP_TORN", err, "take another file of `supervisor store backup`, or the directory of a member that is left")
	case errors.Is(err, etcd.ErrNoStore):
		return refuse("BACKUP_TORN", err, "name the directory in which `member` stands: store.embedded.dir of a control agent")
	case errors.Is(err, etcd.ErrForeign):
		return refuse("STORE_FOREIGN", err, "cluster and region of the agent's file must be those of the copy")
	}
	var told failure
	if errors.As(err, &told) {
		return told
	}
	return failure{err: err, code: "STORE_UNAVAILABLE", exit: exitFailed, remedy: []string{"Nothing was changed."}}
}

// nobodyRuns refuses while any member answers, or holds this host's directory.
func (r recovering) nobodyRuns(ctx context.Context, o etcd.EmbedOptions) error {
	running, err := etcd.Answering(ctx, o)
	if err != nil {
		return err
	}
	names := strings.Join(running, ", ")
	switch {
	case 2*len(running) > len(o.Members):
		return refuse("STORE_ANSWERS", fmt.Errorf("the store is not lost: %s answer, a majority of %d", names, len(o.Members)),
			"a member that lost its disk: supervisor store replace-member", "to give up what it holds all the same: stop the agents of all control hosts first")
	case len(running) > 0:
		return refuse("STORE_MEMBER_ANSWERS", fmt.Errorf("the member of %s runs: the store that is given up must not go on beside the new one", names),
			"stop the agents of all control hosts first")
	}
	if err := etcd.InUse(o.Dir); err != nil {
		return asRecovery(err)
	}
	return nil
}

// ownedHere wants the recovered files to be the agent's own: whose user does not
// start the agent would leave it a store that it cannot open.
func ownedHere(dirs ...string) error {
	for _, dir := range dirs {
		var st syscall.Stat_t
		if syscall.Stat(dir, &st) != nil {
			continue
		}
		if uid := os.Geteuid(); int(st.Uid) != uid {
			return refuse("NOT_PERMITTED", fmt.Errorf("%s belongs to uid %d, and this is uid %d", dir, st.Uid, uid), "run it as the user that runs the agent")
		}
		return nil
	}
	return nil
}

// next is the era that follows on what stands in a store.
func (r recovering) next(s store.Sight, from string) (lead.EraDoc, []byte, error) {
	var was lead.EraDoc
	if err := store.Strict(s.Era, &was); err != nil {
		return was, nil, refuse("STORE_LATER", fmt.Errorf("its era cannot be read: %w", err), "run the version of this program that wrote it")
	}
	doc := lead.EraDoc{Era: max(was.Era+1, r.seen.Era+1, r.era), EtcdClusterID: s.EtcdCluster,
		Recovered: &incident.Recovery{By: person(), Why: strings.Join(strings.Fields(r.reason), " "),
			From: fmt.Sprintf("%s on %s", from, r.cfg.Host.Name), At: r.now, Rev: s.Rev}}
	b, err := json.Marshal(doc)
	return doc, b, err
}

// inPlaceOf puts a directory where another may stand, which is set aside.
func inPlaceOf(from, dir string, now time.Time) (aside string, err error) {
	if _, err := os.Lstat(dir); err == nil {
		aside = asideOf(dir, now)
		if err := os.Rename(dir, aside); err != nil {
			return "", err
		}
	}
	if err := os.Rename(from, dir); err != nil {
		if aside != "" {
			err = errors.Join(err, os.Rename(aside, dir))
		}
		return "", err
	}
	return aside, syncDir(filepath.Dir(dir))
}

func asideOf(dir string, now time.Time) string {
	return fmt.Sprintf("%s.aside-%s", filepath.Clean(dir), now.Format("20060102T150405Z"))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// raise gives a store that its site restored a higher era.
func (r recovering) raise(ctx context.Context, confirmed func() error) error {
	if r.cfg.Store.Embedded != nil {
		return refuse("STORE_EMBEDDED", errors.New("the agents run this store themselves"), "bring it back with --from-backup or --from-member")
	}
	client, err := dialStore(r.cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	sight, err := client.Look(ctx)
	if err != nil {
		return refuse("STORE_UNAVAILABLE", fmt.Errorf("reach the store: %w", err), "a majority of its members must answer")
	}
	if err := r.wentBack(sight); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "PLAN  the store of %s/%s at %s, etcd cluster %s at revision %d, gets an era above all that it and this host know;\n"+
		"every agent goes over to it, and only observes until supervisor store acknowledge\n", r.cfg.Cluster, r.cfg.Region,
		strings.Join(r.cfg.Store.Endpoints, ", "), sight.EtcdCluster, sight.Rev)
	if err := confirmed(); err != nil {
		return err
	}
	var doc lead.EraDoc
	err = client.RaiseEra(ctx, func(s store.Sight) (b []byte, err error) {
		doc, b, err = r.next(s, "a copy that its site restored")
		return b, err
	})
	if err != nil {
		return asRecovery(err)
	}
	fmt.Fprintf(r.out, "store taken over: era %d\nnext: look at it, then `supervisor store acknowledge --era %d --reason …`\n", doc.Era, doc.Era)
	return nil
}

// wentBack wants a reason to give up what agents know: the store is a copy, or
// stands before what this host's agent has seen. A person may say so with --era.
func (r recovering) wentBack(s store.Sight) error {
	var doc lead.EraDoc
	if len(s.Era) == 0 || store.Strict(s.Era, &doc) != nil || r.era > doc.Era {
		return nil // RaiseEra says what is wrong
	}
	known := lead.Known{EtcdCluster: r.seen.EtcdCluster, Rev: r.seen.Rev, Era: r.seen.Era}
	back := doc.EtcdClusterID != s.EtcdCluster || doc.Era < known.Era || known.EtcdCluster != "" && known.EtcdCluster != s.EtcdCluster || s.Rev < known.Rev
	if back {
		return nil
	}
	return refuse("STORE_ANSWERS", fmt.Errorf("this store did not go back, for all that this host knows: era %d, revision %d", doc.Era, s.Rev),
		fmt.Sprintf("if agents say STORE_WENT_BACK all the same: add --era %d", doc.Era+1))
}

// setAside moves this host's old member away, so that its agent joins the store
// that was recovered elsewhere.
func (r recovering) setAside(ctx context.Context) error {
	o, runs := embedOptions(r.cfg, zap.NewNop())
	if !runs {
		return refuse("STORE_EXTERNAL", errors.New("the agent's file names no member of the store on this host"))
	}
	if err := etcd.InUse(o.Dir); err != nil {
		return refuse("STORE_IN_USE", err, "stop the agent of this host first")
	}
	if _, err := os.Lstat(o.Dir); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(r.out, "%s is not there: start the agent, it joins by itself\n", o.Dir)
		return nil
	}
	client, err := dialStore(r.cfg, agent.Horizon{}, zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	sight, err := client.Look(ctx)
	if err != nil {
		return refuse("STORE_UNAVAILABLE", fmt.Errorf("reach the recovered store: %w", err), "recover it on one control host and start that host's agent first")
	}
	var doc lead.EraDoc
	switch err := store.Strict(sight.Era, &doc); {
	case err != nil || doc.Recovered == nil || doc.EtcdClusterID != sight.EtcdCluster:
		return refuse("STORE_NOT_RECOVERED", errors.New("the store that answers was not recovered"), "its member here: supervisor store replace-member")
	}
	if of, err := etcd.ClusterOf(o.Dir); err != nil || of == sight.EtcdCluster {
		return refuse("STORE_MEMBER_JOINED", errors.Join(fmt.Errorf("%s is not set aside: it is a member of the store that answers, or of none that can be read", o.Dir), err))
	}
	aside := asideOf(o.Dir, r.now)
	if err := errors.Join(os.Rename(o.Dir, aside), syncDir(filepath.Dir(aside))); err != nil {
		return fmt.Errorf("set the old member aside: %w", err)
	}
	fmt.Fprintf(r.out, "set aside: %s\nnext: start the agent, it joins the store of era %d by itself\n", aside, doc.Era)
	return nil
}
