// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// url accepts an address with a port: https, or http on loopback, as without
// TLS the store must not be reachable from another host.
func (o EmbedOptions) url(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	want := "http"
	if o.TLS != nil {
		want = "https"
	}
	host, port, err := net.SplitHostPort(u.Host)
	ip := net.ParseIP(host)
	switch {
	case u.Scheme != want || u.Path != "":
		return nil, fmt.Errorf("%q: want %s://ADDRESS:PORT", text, want)
	case err != nil || port == "" || port == "0":
		return nil, fmt.Errorf("%q: a port is needed", text)
	case ip == nil || o.TLS == nil && !ip.IsLoopback():
		return nil, fmt.Errorf("%q: only a loopback address, as it carries no TLS", text)
	}
	return u, nil
}

// harmless drops what etcd says at error level whenever it closes: that its
// own listeners are closed.
func harmless(l *zap.Logger) *zap.Logger {
	return l.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return closedFilter{c} }))
}

type closedFilter struct{ zapcore.Core }

// With keeps the filter around the derived core.
func (f closedFilter) With(fields []zapcore.Field) zapcore.Core {
	return closedFilter{f.Core.With(fields)}
}

// Check registers the filter itself, so that Write sees the fields.
func (f closedFilter) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if f.Enabled(e.Level) {
		return ce.AddCore(e, f)
	}
	return ce
}

// Write passes on whatever is not about a closed listener of our own.
func (f closedFilter) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && closed(err) && e.Level == zapcore.ErrorLevel {
			return nil
		}
	}
	return f.Core.Write(e, fields)
}

// closed tells whether err is what a server's accept loop returns when it is
// closed; etcd and its libraries pass some of these on as text only.
func closed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) ||
		strings.Contains(err.Error(), net.ErrClosed.Error()) || strings.HasSuffix(err.Error(), "mux: server closed")
}
