package agent

import (
	"testing"
	"time"
)

func TestCrashesAreCounted(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	c := newCrashes(func() time.Time { return now })
	defer c.over.Stop()
	for _, step := range []struct {
		ends  int
		news  bool
		words string
	}{
		{0, false, ""},
		{1, true, "Envoy ended by itself once, at 2026-01-02T12:02:00Z"},
		{1, false, "Envoy ended by itself once, at 2026-01-02T12:02:00Z"},
		{0, false, "Envoy ended by itself once, at 2026-01-02T12:02:00Z"}, // it got another name, and is another proxy
		{1, true, "Envoy ended by itself 2 times, last at 2026-01-02T12:05:00Z"},
	} {
		now = now.Add(time.Minute)
		if news := c.note(step.ends); news != step.news || c.words() != step.words {
			t.Errorf("%d ends: %v, %q; want %v, %q", step.ends, news, c.words(), step.news, step.words)
		}
	}
}
