// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"testing"

	"supervisor/cluster"
	"supervisor/internal/store"
	"supervisor/loadbalancer"
)

// lastWord is a store whose pool was written last at a revision.
type lastWord struct {
	Journal
	key string
	mod int64
	err error
}

func (l lastWord) List(context.Context, string) ([]store.KV, int64, error) {
	return []store.KV{{Key: store.Pool("web2"), Mod: 5}, {Key: l.key, Mod: l.mod}}, 9, l.err
}

// oneServer is a proxy with n3 alone.
type oneServer struct{ shows loadbalancer.Wish }

func (o *oneServer) Apply(_ context.Context, changes []loadbalancer.Change) error {
	for _, c := range changes {
		o.shows = c.To
	}
	return nil
}

func (o *oneServer) Read(context.Context) ([]loadbalancer.Actual, error) {
	return []loadbalancer.Actual{{Server: "n3", Want: o.shows.Want, Weight: o.shows.Weight, Normal: 100}}, nil
}

// An agent that stood still while another one wrote the pool wakes up with the
// intent of then, and with the belief that it is the writer.
func TestAProxyIsToldTheLastWordOnly(t *testing.T) {
	drain := loadbalancer.Wish{Want: loadbalancer.Drain}
	rows := []struct {
		why  string
		last lastWord
		want loadbalancer.Wish
	}{
		{"it is the last word", lastWord{key: store.Pool("web"), mod: 5}, drain},
		{"another one was written since", lastWord{key: store.Pool("web"), mod: 7}, loadbalancer.Full},
		{"it was taken away", lastWord{key: store.Pool("web1"), mod: 5}, loadbalancer.Full},
		{"the store does not say", lastWord{key: store.Pool("web"), mod: 5, err: errors.New("no answer")}, loadbalancer.Full},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			declared := loadbalancer.Declared{Name: "web", Members: []cluster.Name{"n3"}, Proxies: []loadbalancer.Proxy{{Name: "ha"}}}
			k := poolKeeper{a: &Agent{o: Options{Journal: r.last, Log: quietLog(), Clock: bubbleClock{}}}, news: map[string]news{}}
			want := declared.Pool(loadbalancer.Pool{})
			want.Wants["n3"] = drain
			w := wantedPool{declared: declared, want: want, token: cluster.Token{Rev: 5}, intended: true, write: true}
			p := &oneServer{shows: loadbalancer.Full}
			if status := k.proxy(t.Context(), p, w, "ha"); p.shows != r.want || status.InStep != (r.want == drain) || len(status.Drift) > 0 {
				t.Errorf("it shows %s, and is told of as %+v", p.shows, status)
			}
		})
	}
}
