package demo

import (
	"context"
	"fmt"

	"github.com/isthmus-mesh/isthmus/examples"
)

// checkRequests is how many requests a check sends on each side of the change.
const checkRequests = 50

// check proves the whole way: requests pass, a route that is changed reaches every proxy, and the
// requests follow it.
func (d *demo) check(ctx context.Context) error {
	before, err := d.versions(ctx)
	if err != nil {
		return err
	}
	if before["v1"] != checkRequests {
		return fmt.Errorf("all reviews should come from v1, but the versions that answered are %v", before)
	}
	text, err := examples.Files.ReadFile("canary-50.yaml")
	if err != nil {
		return err
	}
	if err := d.apply(ctx, text); err != nil {
		return err
	}
	return until(ctx, patience, d.running(), func(ctx context.Context) error {
		after, err := d.versions(ctx)
		if err == nil && (after["v1"] == 0 || after["v2"] == 0 || after["v3"] != 0) {
			err = fmt.Errorf("half of the reviews should come from v2, but the versions that answered are %v", after)
		}
		return err
	})
}

// versions asks checkRequests times and counts the versions of reviews that answered. A request that
// fails is an error.
func (d *demo) versions(ctx context.Context) (map[string]int, error) {
	seen := map[string]int{}
	for range checkRequests {
		version, err := d.load.ask(ctx)
		if err != nil {
			return nil, err
		}
		seen[version]++
	}
	return seen, nil
}
