package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
)

// Answer is what every service says: who it is, whom it saw, and what it has to tell.
type Answer struct {
	Service string `json:"service"`
	Version string `json:"version"`
	Host    string `json:"host"`
	// Caller is the identity of the caller as our proxy saw it, a SPIFFE ID; empty if no proxy said.
	Caller string `json:"caller,omitempty"`
	// Remote is the address of the connection: the proxy's, or the caller's where there is none.
	Remote string `json:"remote,omitempty"`
	// Path is the request's path and query as they arrived here.
	Path string `json:"path,omitempty"`
	// Headers are the request's headers as they arrived, if the query asks for them: ?headers=1.
	Headers http.Header `json:"headers,omitempty"`
	// Error says what went wrong here; the answers of dependencies carry their own.
	Error string `json:"error,omitempty"`
	// Content is what the service is for.
	Content any `json:"content,omitempty"`
	// Calls are the answers of the services asked, by name.
	Calls map[string]*Answer `json:"calls,omitempty"`
}

// ask adds the answer of a dependency; an error becomes an answer without a service.
func (a *Answer) ask(name string, call func() (*Answer, error)) {
	got, err := call()
	if got == nil {
		got = &Answer{}
	}
	if err != nil {
		got.Error = err.Error()
		a.Error = strings.TrimPrefix(a.Error+"; "+name+" failed", "; ")
	}
	if a.Calls == nil {
		a.Calls = map[string]*Answer{}
	}
	a.Calls[name] = got
}

// self is the identity of a running service, its knobs, and what it has counted.
type self struct {
	service, version, host string
	requests               *atomic.Int64 // other than health checks and knobs
	knobs                  *knobs
}

func newSelf(cfg config) self {
	return self{cfg.service, cfg.version, cfg.host, new(atomic.Int64), &knobs{}}
}

func (s self) answer(caller, remote string) *Answer {
	return &Answer{Service: s.service, Version: s.version, Host: s.host, Caller: caller, Remote: remote}
}

func (s self) String() string { return fmt.Sprintf("%s %s on %s", s.service, s.version, s.host) }
