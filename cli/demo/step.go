package demo

import (
	"context"
	"fmt"
	"io"
	"time"
)

// step is a part of the way up.
type step struct {
	name string
	run  func(context.Context) error
}

// walk takes the steps in order and prints each with the time it took. It stops at the first error.
func walk(ctx context.Context, out io.Writer, steps []step) error {
	for i, s := range steps {
		fmt.Fprintf(out, "[%d/%d] %s … ", i+1, len(steps), s.name)
		began := time.Now()
		if err := s.run(ctx); err != nil {
			fmt.Fprintln(out, "no")
			return err
		}
		fmt.Fprintf(out, "%.1fs\n", time.Since(began).Seconds())
	}
	return nil
}
