// SPDX-License-Identifier: Apache-2.0

package loadbalancer

import (
	"encoding/json"
	"testing"
)

func TestWishesAreSpelledInWords(t *testing.T) {
	rows := []struct {
		why  string
		wish Wish
		json string
		text string
	}{
		{"a member on its way back shows its share", Wish{Ready, 10}, `{"want":"ready","weight":10}`, "ready 10 %"},
		{"a drained one has no share to show", Wish{Want: Drain}, `{"want":"drain"}`, "drain"},
		{"maintenance is a word of its own", Wish{Want: Maint}, `{"want":"maint"}`, "maint"},
		{"a forgotten field is unknown and no order", Wish{}, `{"want":"unknown"}`, "unknown"},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			got, err := json.Marshal(r.wish)
			if err != nil || string(got) != r.json {
				t.Errorf("marshal: %s, %v; want %s", got, err, r.json)
			}
			var back Wish
			if err := json.Unmarshal([]byte(r.json), &back); err != nil || back != r.wish {
				t.Errorf("unmarshal: %v, %v; want %v", back, err, r.wish)
			}
			if r.wish.String() != r.text {
				t.Errorf("String: %q, want %q", r.wish, r.text)
			}
		})
	}
}

func TestWordsNobodyTaughtUsAreErrors(t *testing.T) {
	var w Wish
	if err := json.Unmarshal([]byte(`{"want":"up"}`), &w); err == nil {
		t.Errorf("a word from elsewhere became %v", w)
	}
	if got, err := json.Marshal(Wish{Want: 9}); err == nil {
		t.Errorf("a value without a word was written as %s", got)
	}
}

func TestRampHasTwoSteps(t *testing.T) {
	rows := []struct {
		why  string
		step int
		want Wish
		is   bool
	}{
		{"a tenth of the clients first", 0, Wish{Ready, 10}, true},
		{"then all of them, which is full service", 1, Full, true},
		{"after the last step there is none", 2, Wish{}, false},
		{"nor is there one before the first", -1, Wish{}, false},
	}
	for _, r := range rows {
		t.Run(r.why, func(t *testing.T) {
			if got, is := Ramp(r.step); got != r.want || is != r.is {
				t.Errorf("Ramp(%d) = %v, %v; want %v, %v", r.step, got, is, r.want, r.is)
			}
		})
	}
}
