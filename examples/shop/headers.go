package main

import (
	"context"
	"net/http"
	"strings"

	"google.golang.org/grpc/metadata"
)

// passed lists the headers a service hands on to the services it calls, in lower case: those that
// join the spans of a trace, the person the request is made for, and the knobs of a request.
var passed = []string{
	"x-request-id", "traceparent", "tracestate", "baggage",
	"b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags",
	"end-user", failHeader, delayHeader,
}

func passHeaders(from, to http.Header) {
	for _, name := range passed {
		if values := from.Values(name); len(values) > 0 {
			to[http.CanonicalHeaderKey(name)] = values
		}
	}
}

// passMetadata is passHeaders for a gRPC call made with the context it returns.
func passMetadata(ctx context.Context, from http.Header) context.Context {
	to := metadata.MD{}
	for _, name := range passed {
		to.Append(name, from.Values(name)...)
	}
	return metadata.NewOutgoingContext(ctx, to)
}

// headersOf makes an HTTP header of what a gRPC caller sent.
func headersOf(ctx context.Context) http.Header {
	header := http.Header{}
	from, _ := metadata.FromIncomingContext(ctx)
	for name, values := range from {
		if !strings.HasPrefix(name, ":") {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	return header
}
