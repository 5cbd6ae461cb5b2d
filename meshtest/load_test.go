package meshtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// answering is a server whose nth answer is made by answer.
func answering(t *testing.T, answer func(n int64, w http.ResponseWriter, r *http.Request)) string {
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(count.Add(1), w, r) }))
	t.Cleanup(server.Close)
	return server.URL
}

func TestLoadCountsByStatusVersionHostAndCaller(t *testing.T) {
	url := answering(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		version := 1 + n%2
		fmt.Fprintf(w, `{"service":"web","version":"v1","host":"w","calls":{"reviews":{"service":"reviews","version":"v%d","host":"rv%d","caller":"%s"}}}`,
			version, version, r.Header.Get("X-Me")+r.Host)
	})
	tally := Load{URL: url, Host: "shop.test", Header: http.Header{"X-Me": {"i@"}}}.Send(t.Context(), 40)
	tally.MustLoseNothing(t)
	tally.MustShare(t, "reviews", "v2", 0.5, 0)
	if tally.Sent() != 40 || tally.Status(200) != 40 || tally.ByVersion("web", "v1") != 40 || tally.ByHost("reviews", "rv1") != 20 {
		t.Error(tally)
	}
	if callers := tally.Callers("reviews"); len(callers) != 1 || callers[0] != "i@shop.test" {
		t.Errorf("callers %q", callers)
	}
}

func TestLoadTellsWhatFailed(t *testing.T) {
	url := answering(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		switch n {
		case 1:
			w.WriteHeader(502)
			fmt.Fprint(w, `{"service":"web","error":"reviews failed","calls":{"reviews":{"service":"reviews","error":"told to answer 500"}}}`)
		case 2:
			http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
		case 3:
			panic(http.ErrAbortHandler)
		case 4:
			w.WriteHeader(404)
		}
	})
	tally := Load{URL: url, NoKeepAlive: true}.Send(t.Context(), 5)
	if tally.Failed() != 3 || tally.Status(404) != 1 || tally.Status(200) != 1 {
		t.Error(tally)
	}
	for _, want := range []string{"502 reviews: told to answer 500", "503 no healthy upstream", "EOF"} {
		if !strings.Contains(tally.String(), want) {
			t.Errorf("lacks %q: %s", want, tally)
		}
	}
	r := &recorder{TB: t}
	tally.MustLoseNothing(r)
	newTally().MustLoseNothing(r)
	tally.MustShare(r, "web", "v1", 0.5, 0.1)
	newTally().MustShare(r, "web", "v1", 0, 1)
	if len(r.failures) != 4 {
		t.Errorf("%d of 4 assertions failed as they should", len(r.failures))
	}
}

func TestLoadKeepsItsRateWhileAnswersAreSlow(t *testing.T) {
	release := make(chan struct{})
	url := answering(t, func(_ int64, w http.ResponseWriter, r *http.Request) { <-release })
	tally, stop := Load{URL: url, Rate: 500}.Start(t)
	Eventually(t, "requests are begun though none is answered", func() error {
		if tally.Sent() < 50 {
			return fmt.Errorf("%d begun", tally.Sent())
		}
		return nil
	})
	close(release)
	stop()
	tally.MustLoseNothing(t)
	if tally.Status(200) != tally.Sent() {
		t.Errorf("stop did not wait for answers: %s", tally)
	}
}

func TestLoadRunsUntilItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := answering(t, func(n int64, w http.ResponseWriter, r *http.Request) {
		if n == 10 {
			cancel()
		}
	})
	tally := Load{URL: url, Rate: 1000}.Run(ctx)
	tally.MustLoseNothing(t)
	if tally.Sent() < 10 {
		t.Error(tally)
	}
}
