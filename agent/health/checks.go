package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Parse makes a check of its text: "tcp://HOST:PORT", "http://HOST:PORT/PATH", "grpc://HOST:PORT" with
// an optional "/SERVICE", or "none". "tcp" and "grpc" alone mean fallback, an address.
func Parse(text, fallback string) (Check, error) {
	if text == "none" {
		return func(context.Context) error { return nil }, nil
	}
	u, err := parse(text, fallback)
	if err != nil {
		return nil, err
	}
	switch u.Scheme {
	case "tcp":
		return TCP(u.Host), nil
	case "http":
		return HTTP(u.String()), nil
	case "grpc":
		return GRPC(u.Host, trimSlash(u.Path)), nil
	}
	return nil, fmt.Errorf("health check %q: the scheme is none of tcp, http and grpc", text)
}

// LocalPort is the port on this machine that a check of this text asks; 0 if it asks elsewhere, or nobody.
func LocalPort(text, fallback string) uint16 {
	u, err := parse(text, fallback)
	if err != nil {
		return 0
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && !ip.IsLoopback() {
		return 0
	}
	port, err := strconv.ParseUint(cmp.Or(u.Port(), "80"), 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}

func parse(text, fallback string) (*url.URL, error) {
	if text == "tcp" || text == "grpc" {
		text += "://" + fallback
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("health check %q: %w", text, err)
	}
	if u.Port() == "" && u.Scheme != "http" {
		return nil, fmt.Errorf("health check %q: want tcp://HOST:PORT, http://HOST:PORT/PATH, grpc://HOST:PORT or none", text)
	}
	return u, nil
}

func trimSlash(path string) string {
	if path == "" {
		return ""
	}
	return path[1:]
}

// TCP connects.
func TCP(address string) Check {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return plain(err)
		}
		return conn.Close()
	}
}

// HTTP asks for a page; any status below 400 is good. Redirects are not followed.
func HTTP(url string) Check {
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		request.Header.Set("User-Agent", "isthmus-agent health check")
		response, err := client.Do(request)
		if err != nil {
			return plain(err)
		}
		defer response.Body.Close()
		if response.StatusCode >= http.StatusBadRequest {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}

// GRPC asks the standard health service (https://github.com/grpc/grpc/blob/master/doc/health-checking.md)
// about a service; an empty name asks about the server.
func GRPC(address, service string) Check {
	return func(ctx context.Context) error {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil {
			return err
		}
		if answer.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("grpc://%s/%s is %s", address, service, answer.Status)
		}
		return nil
	}
}

// plain unwraps what net/http and net say twice.
func plain(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
