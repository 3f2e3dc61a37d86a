// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"net/http"
)

// recordingPath gives the recording of the judge as a file. Whoever may look
// may look at it: it says what the verdicts rest on.
const recordingPath = "/v1/recording"

func (s *Server) recording(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	x, err := s.o.Source.Recording(ctx)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = x.WriteTo(w) // one that is cut short is found by whoever reads it
	return nil
}

// Recording reads the recording of the agent's judge, a file of internal/trace.
func (c *Client) Recording(ctx context.Context) ([]byte, error) {
	return c.exchange(ctx, http.MethodGet, recordingPath, nil)
}
