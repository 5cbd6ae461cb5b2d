package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// A script of answers, + and - and, for a refused connection, !, and the judgement after each: H or U, lower case when not reported.
func TestThresholds(t *testing.T) {
	for _, c := range []struct{ answers, want string }{
		{"+++", "Hhh"},
		{"---", "Uuu"},
		{"-+", "UH"},
		{"+-+--+", "HhhhUH"},
		{"+--", "HhU"},
		{"+-+-+-+-", "Hhhhhhhh"},
		{"+!!+!", "HUuHU"},
		{"!+", "UH"},
	} {
		if got := judge(t, c.answers); got != c.want {
			t.Errorf("%s: %s, want %s", c.answers, got, c.want)
		}
	}
}

func judge(t *testing.T, answers string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tick, asked := make(chan time.Time), 0
	var judgement strings.Builder
	reported, last := false, "u"
	note := func() {
		if asked == 0 {
			return
		}
		if reported {
			judgement.WriteString(strings.ToUpper(last))
		} else {
			judgement.WriteString(last)
		}
		reported = false
	}
	check := func(context.Context) error {
		note()
		if asked == len(answers) {
			cancel()
			return nil
		}
		asked++
		switch answers[asked-1] {
		case '-':
			return errors.New("ill")
		case '!':
			return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return nil
	}
	go func() {
		for {
			select {
			case tick <- time.Time{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	rules := Rules{Tick: tick, Timeout: time.Second, Fall: 2, Rise: 1}
	err := Watch(ctx, check, rules, func(healthy bool, reason string) {
		reported, last = true, map[bool]string{true: "h", false: "u"}[healthy]
		if (reason == "") != healthy {
			t.Errorf("healthy %v because of %q", healthy, reason)
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	return judgement.String()
}

func TestChecks(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ill":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/moved":
			http.Redirect(w, r, "/ill", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		}
	}))
	t.Cleanup(page.Close)
	address := strings.TrimPrefix(page.URL, "http://")
	services := serveGRPC(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	for _, c := range []struct{ check, complaint string }{
		{"none", ""},
		{"tcp", ""},
		{"tcp://" + address, ""},
		{"tcp://" + dead.Addr().String(), "refused"},
		{page.URL + "/", ""},
		{page.URL + "/moved", ""},
		{page.URL + "/ill", "503"},
		{page.URL + "/slow", "no answer within"},
		{"http://" + dead.Addr().String(), "refused"},
		{"grpc://" + services, ""},
		{"grpc://" + services + "/good", ""},
		{"grpc://" + services + "/bad", "NOT_SERVING"},
		{"grpc://" + services + "/unknown", "unknown"},
		{"grpc://" + dead.Addr().String(), "refused"},
	} {
		check, err := Parse(c.check, address)
		if err != nil {
			t.Errorf("%s: %v", c.check, err)
			continue
		}
		got := fmt.Sprint(ask(t.Context(), check, 300*time.Millisecond))
		if c.complaint == "" && got != "<nil>" || !strings.Contains(got, c.complaint) {
			t.Errorf("%s: %s, want %q", c.check, got, c.complaint)
		}
	}
}

func serveGRPC(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	states := health.NewServer()
	states.SetServingStatus("good", grpc_health_v1.HealthCheckResponse_SERVING)
	states.SetServingStatus("bad", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, states)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Stop(); <-done })
	return l.Addr().String()
}

func TestParseRefuses(t *testing.T) {
	for _, bad := range []string{"", "ftp://127.0.0.1:1", "tcp://127.0.0.1", "grpc://x", "127.0.0.1:80", "http://%", "https://127.0.0.1:1/"} {
		if _, err := Parse(bad, "127.0.0.1:1"); err == nil {
			t.Errorf("%q is taken for a check", bad)
		}
	}
}
