// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
)

// tellSystemd says that the agent is ready once it answers, and then feeds the
// unit's watchdog for as long as it goes round. One that stands is not spoken
// for: systemd ends it and starts another, and Cassandra stays as it is. Without
// a unit around it this does nothing.
func tellSystemd(ctx context.Context, progress func(context.Context) error, log *zap.Logger) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the unit's watchdog is not fed", zap.Error(err))
	}
	every := limit / 3
	if limit <= 0 {
		every = readyEvery
	}
	for ready := false; ctx.Err() == nil; {
		switch err := asked(ctx, every, progress); {
		case ctx.Err() != nil:
		case err != nil:
			log.Warn("the agent does not go round", zap.Error(err))
		case !ready:
			ready = notify(daemon.SdNotifyReady+"\n"+daemon.SdNotifyWatchdog, log)
		default:
			notify(daemon.SdNotifyWatchdog, log)
		}
		if ready && limit <= 0 {
			break // nobody waits for more
		}
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
	<-ctx.Done()
	notify(daemon.SdNotifyStopping, log)
}

// readyEvery is how often an agent without a watchdog is asked until it answers.
const readyEvery = time.Second

func asked(ctx context.Context, limit time.Duration, progress func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return progress(ctx)
}

// notify tells the unit, and whether it was told or there is none to tell.
func notify(state string, log *zap.Logger) bool {
	_, err := daemon.SdNotify(false, state)
	if err != nil {
		log.Warn("systemd is not told", zap.Error(err))
	}
	return err == nil
}
