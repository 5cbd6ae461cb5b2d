package meshtest

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Load is requests, all alike, whose answers are counted.
type Load struct {
	// URL to get.
	URL string
	// Host is the Host header; empty means that of the URL.
	Host string
	// Header of each request.
	Header http.Header
	// Rate is how many requests are begun a second, whether or not earlier ones are answered.
	Rate int
	// Timeout of one request; default 10 s. A request that takes longer is lost.
	Timeout time.Duration
	// Dial makes connections, for instance [netns.Host.DialContext]; default is this machine.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Width is how many requests of Send are under way at once; default 8.
	Width int
	// NoKeepAlive makes a connection for each request.
	NoKeepAlive bool
}

// Send sends n requests, as fast as they are answered.
func (l Load) Send(ctx context.Context, n int) *Tally {
	client, tally := l.client(), newTally()
	defer client.CloseIdleConnections()
	orders := make(chan struct{})
	var senders sync.WaitGroup
	for range cmp.Or(l.Width, 8) {
		senders.Go(func() {
			for range orders {
				l.one(ctx, client, tally)
			}
		})
	}
	for range n {
		orders <- struct{}{}
	}
	close(orders)
	senders.Wait()
	return tally
}

// Run sends requests at the load's rate until ctx ends, waits for the answers to those that were
// begun, and returns the count.
func (l Load) Run(ctx context.Context) *Tally {
	tally := newTally()
	l.run(ctx, tally)
	return tally
}

func (l Load) run(ctx context.Context, tally *Tally) {
	client := l.client()
	defer client.CloseIdleConnections()
	tick := time.NewTicker(time.Second / time.Duration(l.Rate))
	defer tick.Stop()
	var begun sync.WaitGroup
	defer begun.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			begun.Go(func() { l.one(context.WithoutCancel(ctx), client, tally) })
		}
	}
}

// Start runs the load beside the test until stop is called, or the test ends. The tally may be
// looked at meanwhile.
func (l Load) Start(t testing.TB) (tally *Tally, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	tally, done := newTally(), make(chan struct{})
	go func() {
		defer close(done)
		l.run(ctx, tally)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return tally, stop
}

func (l Load) client() *http.Client {
	return &http.Client{
		Timeout:       cmp.Or(l.Timeout, 10*time.Second),
		Transport:     &http.Transport{DialContext: l.Dial, MaxIdleConnsPerHost: 64, DisableKeepAlives: l.NoKeepAlive},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// one sends a request and counts its answer. What is sent is counted before it is answered.
func (l Load) one(ctx context.Context, client *http.Client, tally *Tally) {
	tally.sent()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL, nil)
	if err != nil {
		tally.lost(err)
		return
	}
	request.Host = l.Host
	request.Header = l.Header.Clone()
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		tally.lost(err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tally.lost(err)
		return
	}
	answer := new(Answer)
	if json.Unmarshal(body, answer) != nil {
		answer = &Answer{Error: string(body)} // a proxy's words
	}
	tally.answered(response.StatusCode, answer, time.Since(began))
}
