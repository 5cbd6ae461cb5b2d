package meshtest

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a test waits for what should happen within a second or two: long enough for a
// machine that is busy with other tests.
const Patience = 60 * time.Second

// pollInterval is how soon a condition is asked for again.
const pollInterval = 20 * time.Millisecond

// Eventually asks until what it asks for has no error, and fails the test with the last error after
// [Patience]. It returns how long that took.
func Eventually(t testing.TB, what string, condition func() error) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return time.Since(began)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %v: %s: %v", Patience, what, err)
		case <-tick.C:
		}
	}
}

// Holds asks for a while and fails the test as soon as what it asks for has an error.
func Holds(t testing.TB, what string, while time.Duration, condition func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), while)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if err := condition(); err != nil {
			t.Fatalf("it should hold: %s: %v", what, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
