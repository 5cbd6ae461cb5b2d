package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The knobs of one request, handed on along its whole way: "reviews=503,ratings=500" makes these
// services answer so, "ratings=200ms" makes them wait first.
const (
	failHeader  = "x-shop-fail"
	delayHeader = "x-shop-delay"
)

// knobs are the knobs of a process, set by "POST /knobs?fail=0.2&delay=100ms&health=bad": the
// share of requests answered 503, the wait before each, and what /health says. What a POST
// leaves out is put back to normal. All methods may be called from any goroutine.
type knobs struct {
	mu        sync.Mutex
	fail      float64 // share of requests, 0 to 1
	delay     time.Duration
	unhealthy bool
	owed      float64 // share of a failure that past requests add up to
}

func (k *knobs) set(query url.Values) error {
	next := knobs{unhealthy: query.Get("health") == "bad"}
	var err error
	if text := query.Get("fail"); text != "" {
		if next.fail, err = strconv.ParseFloat(text, 64); err != nil || next.fail < 0 || next.fail > 1 {
			return fmt.Errorf("fail=%s is no share between 0 and 1", text)
		}
	}
	if text := query.Get("delay"); text != "" {
		if next.delay, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("delay=%s is no duration like 100ms", text)
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail, k.delay, k.unhealthy, k.owed = next.fail, next.delay, next.unhealthy, 0
	return nil
}

func (k *knobs) healthy() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.unhealthy
}

// next says what becomes of the next request. A share is kept exactly, without chance: of ten
// requests at 0.2 the fifth and the tenth fail.
func (k *knobs) next() (status int, delay time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.owed += k.fail
	if k.owed >= 1-1e-9 {
		k.owed--
		return http.StatusServiceUnavailable, k.delay
	}
	return http.StatusOK, k.delay
}

// fate combines the knobs of the process and of the request; the request's status wins.
func (s self) fate(header http.Header) (status int, delay time.Duration) {
	status, delay = s.knobs.next()
	if asked, err := strconv.Atoi(forService(header.Get(failHeader), s.service)); err == nil && asked >= 200 && asked <= 599 {
		status = asked
	}
	if asked, err := time.ParseDuration(forService(header.Get(delayHeader), s.service)); err == nil {
		delay += asked
	}
	return status, delay
}

// forService finds the value of a service in "service=value,service=value".
func forService(list, service string) string {
	for item := range strings.SplitSeq(list, ",") {
		if name, value, ok := strings.Cut(strings.TrimSpace(item), "="); ok && name == service {
			return value
		}
	}
	return ""
}
