// Package health asks an application how it is: by connecting to it, by an HTTP request or by the
// health service of gRPC. [Watch] turns answers into a judgement that does not flap.
package health

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Check asks once. The error says what is wrong.
type Check func(ctx context.Context) error

// Rules say when to ask and what answers mean.
type Rules struct {
	// Tick gives the times to ask at; the first question is asked without waiting for it.
	Tick <-chan time.Time
	// Glance gives the times at which Gone is asked of a healthy application; if it is gone, the question comes at once. Nil
	// means never.
	Glance <-chan time.Time
	Gone   func() bool
	// Timeout of one question.
	Timeout time.Duration
	// Fall is how many bad answers in a row make a healthy application unhealthy. A refused connection
	// counts for all of them: nobody listens.
	Fall int
	// Rise is how many good answers in a row make an unhealthy one healthy.
	Rise int
}

// Watch asks until ctx ends and reports the first answer and every change of judgement. reason is
// empty when healthy.
func Watch(ctx context.Context, check Check, rules Rules, report func(healthy bool, reason string)) error {
	healthy, streak := false, 0
	for first := true; ; first = false {
		err := ask(ctx, check, rules.Timeout)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if streak++; (err == nil) == healthy {
			streak = 0
		}
		if first || streak >= rules.needed(healthy, err) {
			healthy, streak = err == nil, 0
			report(healthy, reason(err))
		}
		if err := rules.wait(ctx, healthy); err != nil {
			return err
		}
	}
}

// wait returns when it is time for the next question.
func (r Rules) wait(ctx context.Context, healthy bool) error {
	for {
		select {
		case <-r.Tick:
			return nil
		case <-r.Glance:
			if healthy && r.Gone() {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// needed is how many answers like this one, in a row, change the judgement.
func (r Rules) needed(healthy bool, err error) int {
	switch {
	case !healthy:
		return r.Rise
	case errors.Is(err, syscall.ECONNREFUSED):
		return 1
	}
	return r.Fall
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func ask(ctx context.Context, check Check, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %s", timeout))
	defer cancel()
	err := check(ctx)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
