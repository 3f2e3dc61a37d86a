// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"supervisor/internal/certs"
	"supervisor/internal/etcd"
	"supervisor/internal/store/storetest"
)

// trio are the options of three members and their client URLs. With secure
// they know each other by certificates.
func trio(t *testing.T, secure bool) ([]etcd.EmbedOptions, []string) {
	t.Helper()
	scheme, ca := "http://", ""
	if secure {
		scheme, ca = "https://", filepath.Join(t.TempDir(), "ca")
		if err := certs.Init(ca, "orders", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	members := make(map[string]etcd.MemberURLs)
	var all []etcd.EmbedOptions
	var ends []string
	for i := range 3 {
		name := fmt.Sprintf("n%d", i+1)
		members[name] = etcd.MemberURLs{Client: scheme + storetest.FreeAddr(t), Peer: scheme + storetest.FreeAddr(t)}
		o := etcd.DefaultEmbedOptions(name, t.TempDir(), members)
		// Not what these tests are about, and it would cost 5 s.
		o.Heartbeat, o.Election = 50*time.Millisecond, 500*time.Millisecond
		if secure {
			o.TLS = keeper(name, files(t, ca, name))
		}
		all, ends = append(all, o), append(ends, members[name].Client)
	}
	return all, ends
}

// keeper reads the files of a host of this cluster.
func keeper(name string, f certs.Files) *certs.Keeper {
	own := certs.Owner{Identity: certs.Identity{Cluster: "orders", Region: "eu", Host: name}, Embedded: true}
	return certs.NewKeeper(f, own, time.Now)
}

// files are those of a new certificate.
func files(t *testing.T, ca, name string) certs.Files {
	t.Helper()
	if err := certs.Issue(ca, certs.Host{Name: name, Region: "eu", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return certs.Files{Cert: filepath.Join(ca, name+".pem"), Key: filepath.Join(ca, name+".key"), CA: filepath.Join(ca, certs.CAFile)}
}

// join tries until the others let the member in, as an agent does, and waits
// until it votes.
func join(t *testing.T, o etcd.EmbedOptions) *etcd.Member {
	t.Helper()
	var m *etcd.Member
	eventually(t, "join of "+o.Name, func() (err error) {
		m, err = etcd.Join(t.Context(), o)
		return err
	})
	ends(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := m.Promote(ctx); err != nil {
		t.Fatalf("promote %s: %v", o.Name, err)
	}
	return m
}

func client(t *testing.T, urls []string, tls *certs.Keeper) *etcd.Store {
	t.Helper()
	o := options(t, "n1", "/supervisor/1/orders/eu/", "")
	o.Endpoints, o.TLS = urls, tls
	return dial(t, o)
}

func commits(t *testing.T, c *etcd.Store, when string) {
	t.Helper()
	eventually(t, "commit "+when, func() error {
		_, err := c.Commit(t.Context(), put("a", when))
		return err
	})
}

func TestAStoreOfOneGrowsToThreeAndOutlivesOne(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("secure %t", secure), func(t *testing.T) {
			t.Parallel()
			os, urls := trio(t, secure)
			first := bootstrap(t, os[0])
			join(t, os[1])
			join(t, os[2])
			c := client(t, urls, os[0].TLS)
			st, err := c.Health(t.Context())
			if err != nil || len(st.Members) != 3 || !st.Leader {
				t.Fatalf("health: %+v, %v; want three members and a leader", st, err)
			}
			if err := first.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			commits(t, c, "with two of three")
			eventually(t, "health with two of three", func() error {
				st, err := c.Health(t.Context())
				switch {
				case err != nil:
					return err
				case st.Endpoints[0].Err == nil || st.Endpoints[1].Err != nil || st.Endpoints[2].Err != nil || !st.Leader:
					return fmt.Errorf("endpoints are %+v", st.Endpoints)
				}
				return nil
			})
			reopen(t, os[0])
			eventually(t, "all three answer again", func() error {
				st, err := c.Health(t.Context())
				if err == nil && st.Endpoints[0].Err != nil {
					err = st.Endpoints[0].Err
				}
				return err
			})
		})
	}
}

func TestALostMemberIsReplacedOnlyByAPersonsWord(t *testing.T) {
	t.Parallel()
	os, urls := trio(t, false)
	bootstrap(t, os[0])
	join(t, os[1])
	third := join(t, os[2])
	c := client(t, urls[:2], nil)
	if err := c.RemoveMember(t.Context(), "n3"); !errors.Is(err, etcd.ErrMemberAnswers) {
		t.Errorf("a member that answers was taken off: %v", err)
	}
	if err := c.RemoveMember(t.Context(), "n9"); !errors.Is(err, etcd.ErrNoMember) || !strings.Contains(err.Error(), "n1, n2, n3") {
		t.Errorf("a member that nobody knows: %v", err)
	}
	if err := third.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	old := os[2].Dir
	os[2].Dir = t.TempDir()
	if _, err := etcd.Open(os[2]); !errors.Is(err, etcd.ErrNoStore) {
		t.Errorf("an empty directory was opened: %v", err)
	}
	if _, err := etcd.Join(t.Context(), os[2]); !errors.Is(err, etcd.ErrLostMember) {
		t.Errorf("a member that lost its disk joined by itself: %v", err)
	}
	eventually(t, "its removal", func() error { return c.RemoveMember(t.Context(), "n3") })
	join(t, os[2])
	commits(t, c, "with the new one")
	st, err := c.Health(t.Context())
	if err != nil || len(st.Members) != 3 {
		t.Errorf("members are %+v, %v", st.Members, err)
	}
	// The old directory turns up again: the others tell it that it is off.
	os[2].Dir = old
	m, err := etcd.Open(os[2])
	if err != nil {
		return // its address is the new one's
	}
	ends(t, m)
	select {
	case <-m.Stopped():
	case <-time.After(patience):
		t.Error("a member that was taken off goes on")
	}
}

func TestTheOnlyMemberIsNotTakenOff(t *testing.T) {
	t.Parallel()
	o, addr := member(t)
	bootstrap(t, o)
	c := dial(t, options(t, "n2", "/supervisor/1/orders/eu/", addr))
	if err := c.RemoveMember(t.Context(), "n1"); !errors.Is(err, etcd.ErrLastMember) {
		t.Errorf("got %v", err)
	}
	if _, err := etcd.Bootstrap(t.Context(), o); !errors.Is(err, etcd.ErrStoreExists) {
		t.Errorf("a second store in one directory: %v", err)
	}
}

func TestWithoutACertificateNobodyTalksToTheStore(t *testing.T) {
	t.Parallel()
	members, urls := trio(t, true)
	bootstrap(t, members[0])
	foreign := filepath.Join(t.TempDir(), "ca")
	if err := certs.Init(foreign, "orders", time.Now()); err != nil {
		t.Fatal(err)
	}
	stranger := files(t, foreign, "n1")
	own, err := os.ReadFile(stranger.CA)
	if err != nil {
		t.Fatal(err)
	}
	both, err := os.ReadFile(members[0].TLS.Files().CA)
	if err != nil {
		t.Fatal(err)
	}
	// Believes the store; the store does not know it.
	if err := os.WriteFile(stranger.CA, append(both, own...), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, urls[:1], keeper("n1", stranger))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := c.Commit(ctx, put("a", "1")); err == nil {
		t.Error("a certificate of another authority was let in")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := c.Pulse(ctx); err == nil || !strings.Contains(err.Error(), "does not take this host's certificate (tls: ") {
		t.Errorf("that it was turned away is told as %v", err)
	}
	members[1].TLS = keeper("n1", stranger)
	if m, err := etcd.Join(t.Context(), members[1]); err == nil {
		ends(t, m)
		t.Error("a member with a certificate of another authority joined")
	} else if !strings.Contains(err.Error(), "does not take this host's certificate (tls: ") {
		t.Errorf("that it was turned away is told as %v", err)
	}
	// A host of the site that is no member may ask, and may not join the
	// members' own talk.
	ca := filepath.Dir(members[0].TLS.Files().CA)
	members[1].TLS = keeper("n9", files(t, ca, "n9"))
	commits(t, client(t, urls[:1], members[1].TLS), "of another host")
	if m, err := etcd.Join(t.Context(), members[1]); err == nil {
		ends(t, m)
		t.Error("a certificate that names no member became one")
	}
}

func TestABackupIsWhole(t *testing.T) {
	t.Parallel()
	o, addr := member(t)
	bootstrap(t, o)
	c := dial(t, options(t, "n2", "/supervisor/1/orders/eu/", addr))
	commits(t, c, "before")
	var b bytes.Buffer
	size, err := c.Backup(t.Context(), &b)
	if err != nil || size != int64(b.Len()) || size < 16<<10 {
		t.Errorf("%d bytes, %d written, %v", size, b.Len(), err)
	}
}
