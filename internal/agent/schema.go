// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"strings"

	"go.uber.org/zap"
)

const (
	// unreadAfter is after how many readings in a row that failed somebody must
	// know: one alone is a Cassandra that starts, or a slow moment.
	unreadAfter = 3
	// detailMax bounds what is told of a failure, in bytes: it names every host that
	// was asked.
	detailMax = 300
)

// schemaWord notes whether ring and schema could be read. What was read before
// stays, and nobody sees its age. The sentence keeps what the failure began with:
// one that changes all the time would write to the store all the time.
func (d *desk) schemaWord(err error, failed int) {
	switch {
	case err == nil:
		d.clear("SCHEMA_UNREAD")
	case failed == 1:
		d.log.Warn("ring and schema not read", zap.Error(err))
	case failed == unreadAfter:
		d.trouble("SCHEMA_UNREAD", "detail", oneLine(err))
	}
}

// oneLine is an error that joins several as one line of a bounded length.
func oneLine(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > detailMax {
		text = strings.ToValidUTF8(text[:detailMax], "") + " …"
	}
	return text
}
