package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Bounds of what a service waits for.
const (
	callTimeout = 10 * time.Second // one request to a dependency

	// Requests that are under way when the service is stopped. More than the five seconds that
	// net/http grants a connection which has carried no request yet.
	drainTimeout = 8 * time.Second
)

// handler fills in what a service has to tell; header is the request's.
type handler func(ctx context.Context, header http.Header, answer *Answer)

// httpServer serves one handler on every path, beside /health, /knobs and /requests.
type httpServer struct {
	self
	handle handler
}

// Serve implements server.
func (s httpServer) Serve(ctx context.Context, listener net.Listener) error {
	return serveHTTP(ctx, listener, s.routes(writeJSON))
}

func serveHTTP(ctx context.Context, listener net.Listener, routes http.Handler) error {
	server := &http.Server{Handler: routes, ReadHeaderTimeout: callTimeout, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		stopped <- server.Shutdown(bounded)
	})
	err := server.Serve(listener)
	if !errors.Is(err, http.ErrServerClosed) || stop() {
		return err
	}
	return <-stopped
}

// routes gives the answers to write.
func (s httpServer) routes(write func(http.ResponseWriter, *http.Request, int, *Answer)) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("POST /knobs", s.turn)
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, s.requests.Load()) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer, status := s.serve(r)
		write(w, r, status, answer)
	})
	return mux
}

func (s httpServer) health(w http.ResponseWriter, _ *http.Request) {
	if !s.knobs.healthy() {
		http.Error(w, s.String()+" was told to be unhealthy", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

func (s httpServer) turn(w http.ResponseWriter, r *http.Request) {
	if err := s.knobs.set(r.URL.Query()); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (s httpServer) serve(r *http.Request) (*Answer, int) {
	s.requests.Add(1)
	answer := s.answer(callerOf(r.Header.Get("X-Forwarded-Client-Cert")), r.RemoteAddr)
	answer.Path = r.URL.RequestURI()
	if r.URL.Query().Has("headers") {
		answer.Headers = r.Header.Clone()
		answer.Headers.Set("Host", r.Host)
	}
	status, delay := s.fate(r.Header)
	wait(r.Context(), delay)
	if status != http.StatusOK {
		answer.Error = fmt.Sprintf("told to answer %d", status)
		return answer, status
	}
	if s.handle(r.Context(), r.Header, answer); answer.Error != "" {
		status = http.StatusBadGateway
	}
	return answer, status
}

func wait(ctx context.Context, delay time.Duration) {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func writeJSON(w http.ResponseWriter, _ *http.Request, status int, answer *Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	lines := json.NewEncoder(w)
	lines.SetIndent("", "  ")
	lines.Encode(answer) // fails only if the caller has gone
}

// client calls by HTTP, through HTTP_PROXY if it is set.
var client = &http.Client{
	Timeout: callTimeout,
	Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Minute,
	},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// get asks an HTTP service; the answer is there beside an error if one came.
func get(ctx context.Context, url string, header http.Header) (*Answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	passHeaders(header, request.Header)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	answer, words := new(Answer), ""
	if json.Unmarshal(text, answer) != nil { // not from one of us: a proxy's own words
		answer, words = nil, fmt.Sprintf(": %.200s", text)
	}
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("%s answered %s%s", url, response.Status, words)
	}
	return answer, nil
}
