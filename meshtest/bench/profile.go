package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// keepProfiles writes the edge's heap, and its CPU while a route changes, to files of dir.
func keepProfiles(ctx context.Context, w *world, dir string, size int) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return keepProfile(ctx, w, "profile?seconds=3", filepath.Join(dir, fmt.Sprintf("cpu-%d", size)))
	})
	group.Go(func() error {
		for i := range 20 {
			if err := w.change(ctx, fmt.Sprintf("profile-%d", i)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return err
	}
	return keepProfile(context.WithoutCancel(ctx), w, "heap", filepath.Join(dir, fmt.Sprintf("heap-%d", size)))
}

func keepProfile(ctx context.Context, w *world, what, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.edgeStatus+"/debug/pprof/"+what, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, answer.Body)
	return err
}
