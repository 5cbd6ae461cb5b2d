package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// The load: a few requests a second, so that there is something to see.
const (
	loadRate   = 10 // requests a second
	recentSize = 10 * loadRate
	askTimeout = 5 * time.Second
)

// load asks the shop's front page and counts what comes back. Its methods may be called from any
// goroutine.
type load struct {
	url    string
	client *http.Client

	mu     sync.Mutex // guards what follows
	sent   int
	failed int
	// recent are the versions of reviews in the last answers, newest last; "" is a failure.
	recent []string
}

func newLoad(url string) *load { return &load{url: url, client: &http.Client{Timeout: askTimeout}} }

// ask asks once and returns the version of reviews that answered. An answer with an error in it, at
// whatever depth, is an error.
func (l *load) ask(ctx context.Context) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return "", err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Calls map[string]struct{ Version, Error string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); response.StatusCode != http.StatusOK || err != nil || answer.Error != "" {
		return "", fmt.Errorf("%s answered %s %s", l.url, response.Status, answer.Error)
	}
	return answer.Calls["reviews"].Version, nil
}

// run asks loadRate times a second until ctx ends, and returns when the last answer is there.
func (l *load) run(ctx context.Context) {
	var asking sync.WaitGroup
	defer asking.Wait()
	beat := time.NewTicker(time.Second / loadRate)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			asking.Go(func() {
				if version, err := l.ask(ctx); err == nil || ctx.Err() == nil { // the end of the demo is no failure
					l.count(version, err)
				}
			})
		case <-ctx.Done():
			return
		}
	}
}

func (l *load) count(version string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if err != nil {
		l.failed++
		version = ""
	}
	l.recent = append(l.recent, version)
	l.recent = l.recent[max(0, len(l.recent)-recentSize):]
}

// String says what was counted: "requests 312, failed 0; reviews of late: v1 91 %, v2 9 %".
func (l *load) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	shares := map[string]int{}
	for _, version := range l.recent {
		shares[version]++
	}
	var parts []string
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		name := version
		if name == "" {
			name = "failed"
		}
		parts = append(parts, fmt.Sprintf("%s %d %%", name, 100*shares[version]/len(l.recent)))
	}
	return fmt.Sprintf("requests %d, failed %d; reviews of late: %s", l.sent, l.failed, strings.Join(parts, ", "))
}
