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

// An application that is gone is asked at once; one that is not, or that is unhealthy anyway, at the next tick.
func TestGlance(t *testing.T) {
	tick, glance, gone, answers := make(chan time.Time), make(chan time.Time), make(chan bool), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	judged := make(chan bool, 1)
	done := make(chan struct{})
	check := func(context.Context) error { return <-answers }
	go func() {
		defer close(done)
		_ = Watch(ctx, check, Rules{Tick: tick, Glance: glance, Gone: func() bool { return <-gone }, Timeout: time.Minute, Fall: 2, Rise: 1},
			func(healthy bool, _ string) { judged <- healthy })
	}()
	answers <- nil
	if !<-judged {
		t.Fatal("unhealthy at first")
	}
	glance <- time.Time{}
	gone <- false
	glance <- time.Time{}
	gone <- true
	answers <- syscall.ECONNREFUSED
	if <-judged {
		t.Error("it is gone, and healthy")
	}
	glance <- time.Time{} // of an unhealthy one: nobody is asked
	tick <- time.Time{}
	answers <- nil
	if !<-judged {
		t.Error("it is back, and unhealthy")
	}
	cancel()
	<-done
}

func TestLocalPort(t *testing.T) {
	for text, want := range map[string]uint16{
		"tcp": 9080, "grpc": 9080, "tcp://127.0.0.1:81": 81, "http://localhost/health": 80, "http://[::1]:82/": 82,
		"grpc://10.0.0.1:83": 0, "http://example.org:84": 0, "none": 0, "tcp://": 0, "tcp://127.0.0.1:85000": 0,
	} {
		if got := LocalPort(text, "127.0.0.1:9080"); got != want {
			t.Errorf("%s asks port %d, want %d", text, got, want)
		}
	}
}
