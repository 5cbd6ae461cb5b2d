package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// start runs a service until the test ends, and returns its address.
func start(t *testing.T, args ...string) string {
	t.Helper()
	cfg, err := parse(args, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	service, err := newServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		client.CloseIdleConnections()
		if err := <-served; err != nil {
			t.Errorf("%s ended with %v", cfg.service, err)
		}
	})
	return listener.Addr().String()
}

// startAll runs the whole shop and returns the addresses by service.
func startAll(t *testing.T, reviewsVersion string) map[string]string {
	at := map[string]string{}
	at["details"] = start(t, "details", "--host=d")
	at["ratings"] = start(t, "ratings", "--host=ra")
	at["reviews"] = start(t, "reviews", "--host=re", "--version="+reviewsVersion, "--ratings=http://"+at["ratings"])
	at["rates"] = start(t, "rates", "--host=c")
	at["ledger"] = start(t, "ledger", "--host=l")
	at["web"] = start(t, "web", "--host=w", "--details=http://"+at["details"], "--reviews=http://"+at["reviews"],
		"--rates="+at["rates"], "--ledger="+at["ledger"])
	return at
}

// caller opens a connection a request: a connection dialled in advance and never used would hold
// up the end of the service that it leads to.
var caller = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func fetch(t *testing.T, url string, header ...string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := caller.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}

func ask(t *testing.T, url string, header ...string) (int, *Answer) {
	t.Helper()
	status, body := fetch(t, url, header...)
	answer := new(Answer)
	if err := json.Unmarshal(body, answer); err != nil {
		t.Fatalf("%s: %v in %s", url, err, body)
	}
	return status, answer
}

// who writes the tree of answers as "web/v1/w(details/v1/d …)", in order of name.
func who(a *Answer) string {
	var calls []string
	for _, name := range []string{"details", "ledger", "rates", "ratings", "reviews"} {
		if call := a.Calls[name]; call != nil {
			calls = append(calls, who(call))
		}
	}
	text := a.Service + "/" + a.Version + "/" + a.Host
	if calls != nil {
		text += "(" + strings.Join(calls, " ") + ")"
	}
	return text
}

func TestEveryServiceAnswersWithItsName(t *testing.T) {
	for version, want := range map[string]string{
		"v1": "web/v1/w(details/v1/d ledger/v1/l rates/v1/c reviews/v1/re)",
		"v2": "web/v1/w(details/v1/d ledger/v1/l rates/v1/c reviews/v2/re(ratings/v1/ra))",
		"v3": "web/v1/w(details/v1/d ledger/v1/l rates/v1/c reviews/v3/re(ratings/v1/ra))",
	} {
		status, answer := ask(t, "http://"+startAll(t, version)["web"]+"/")
		if status != http.StatusOK || who(answer) != want {
			t.Errorf("%d %s\nwant 200 %s", status, who(answer), want)
		}
	}
}

func TestReviewsShowStarsByVersion(t *testing.T) {
	for version, want := range map[string]review{
		"v1": {By: "Ada"}, "v2": {By: "Ada", Stars: 5, Color: "black"}, "v3": {By: "Ada", Stars: 5, Color: "red"},
	} {
		_, answer := ask(t, "http://"+startAll(t, version)["reviews"]+"/reviews")
		text, _ := json.Marshal(answer.Content)
		var got []review
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		got[0].Text = ""
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("%s: -want +got\n%s", version, diff)
		}
	}
}

func TestBrowserGetsAPage(t *testing.T) {
	at := startAll(t, "v2")
	_, body := fetch(t, "http://"+at["web"]+"/", "Accept", "text/html,*/*")
	for _, want := range []string{"<h1>Walden</h1>", "To be read beside a pond.", `data-stars="5"`, "<td>ledger</td>"} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("the page lacks %q", want)
		}
	}
	status, body := fetch(t, "http://"+at["web"]+"/", "Accept", "text/html", failHeader, "details=500,reviews=500")
	if status != http.StatusBadGateway || !bytes.Contains(body, []byte("cannot be shown just now")) {
		t.Errorf("with everything failing: %d %s", status, body)
	}
}

func TestFailedDependencyIsNamed(t *testing.T) {
	at := startAll(t, "v2")
	for fail, want := range map[string]string{
		"ratings=500": "reviews failed", "details=503": "details failed", "rates=500": "rates failed",
		"details=500,rates=500": "details failed; rates failed",
	} {
		status, answer := ask(t, "http://"+at["web"]+"/", failHeader, fail)
		if status != http.StatusBadGateway || answer.Error != want {
			t.Errorf("%s: %d %q, want 502 %q", fail, status, answer.Error, want)
		}
	}
	if status, _ := ask(t, "http://"+at["web"]+"/", failHeader, "web=418"); status != http.StatusTeapot {
		t.Errorf("web=418 answered %d", status)
	}
	lone := start(t, "web", "--ledger=127.0.0.1:1", "--details=http://127.0.0.1:1")
	if _, answer := ask(t, "http://"+lone+"/"); answer.Error != "details failed; ledger failed" {
		t.Errorf("nobody there: %q", answer.Error)
	}
}

func TestDependencyThatIsNoneOfOursIsAnError(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
	}))
	defer proxy.Close()
	web := start(t, "web", "--details="+proxy.URL)
	_, answer := ask(t, "http://"+web+"/")
	if got := answer.Calls["details"].Error; !strings.Contains(got, "503 Service Unavailable") {
		t.Errorf("error %q", got)
	}
}

func TestKnobsOfAProcess(t *testing.T) {
	base := "http://" + start(t, "details")
	turn := func(query string, want int) {
		t.Helper()
		response, err := caller.Post(base+"/knobs?"+query, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s answered %d, want %d", query, response.StatusCode, want)
		}
	}
	turn("fail=0.2&health=bad", 200)
	var statuses []int
	for range 10 {
		status, _ := ask(t, base+"/")
		statuses = append(statuses, status)
	}
	if diff := cmp.Diff([]int{200, 200, 200, 200, 503, 200, 200, 200, 200, 503}, statuses); diff != "" {
		t.Errorf("a fifth fails: -want +got\n%s", diff)
	}
	if status, body := fetch(t, base+"/health"); status != 503 || !strings.Contains(string(body), "told to be unhealthy") {
		t.Errorf("health: %d %s", status, body)
	}
	for _, bad := range []string{"fail=2", "fail=x", "delay=fast"} {
		turn(bad, 400)
	}
	turn("", 200)
	if status, _ := fetch(t, base+"/health"); status != 200 {
		t.Errorf("health after the knobs were put back: %d", status)
	}
	if _, body := fetch(t, base+"/requests"); string(body) != "10\n" {
		t.Errorf("counted %s requests, want the 10 to the content", body)
	}
}

func TestDelayIsWaitedFor(t *testing.T) {
	base := "http://" + start(t, "details")
	ctx, cancel := context.WithCancel(t.Context())
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, base, nil)
	request.Header.Set(delayHeader, "details=1h")
	failed := make(chan error)
	go func() {
		_, err := caller.Do(request)
		failed <- err
	}()
	for {
		if _, body := fetch(t, base+"/requests"); string(body) == "1\n" {
			break // the request has arrived
		}
	}
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("a request to be delayed by an hour ended with %v", err)
	}
}

// Trace, user and knobs travel to the end of the chain, over HTTP and gRPC; nothing else does.
func TestHeadersThatArePassedOn(t *testing.T) {
	seen := make(chan http.Header, 1)
	end := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		fmt.Fprint(w, "{}")
	}))
	defer end.Close()
	reviews := start(t, "reviews", "--version=v2", "--ratings="+end.URL)
	web := start(t, "web", "--reviews=http://"+reviews)
	fetch(t, "http://"+web+"/", "Traceparent", "00-1-2-01", "X-B3-Traceid", "7", "End-User", "ada", "Cookie", "secret")
	got := <-seen
	if got.Get("Traceparent") != "00-1-2-01" || got.Get("X-B3-Traceid") != "7" || got.Get("End-User") != "ada" || got.Get("Cookie") != "" {
		t.Errorf("ratings saw %v", got)
	}
}

func TestAnswerTellsTheRequestIfAsked(t *testing.T) {
	base := "http://" + start(t, "details")
	_, answer := ask(t, base+"/a/b?headers=1", "X-Added", "yes", "X-Forwarded-Client-Cert", `By=spiffe://m/ns/shop/sa/details;URI=spiffe://m/ns/shop/sa/web`)
	if answer.Path != "/a/b?headers=1" || answer.Headers.Get("X-Added") != "yes" || answer.Headers.Get("Host") == "" {
		t.Errorf("path %q, headers %v", answer.Path, answer.Headers)
	}
	if answer.Caller != "spiffe://m/ns/shop/sa/web" {
		t.Errorf("caller %q", answer.Caller)
	}
}

func TestRatesGoThroughAProxy(t *testing.T) {
	at := start(t, "rates", "--host=behind")
	web := start(t, "web", "--rates=rates:9090", "--rates-through="+at)
	if _, answer := ask(t, "http://"+web+"/"); answer.Error != "" || answer.Calls["rates"].Host != "behind" {
		t.Errorf("answer %+v, rates %+v", answer, answer.Calls["rates"])
	}
}

func TestLedgerSpeaksLines(t *testing.T) {
	conn, err := net.Dial("tcp", start(t, "ledger"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	replies := bufio.NewScanner(conn)
	for i, want := range []string{`"content":1`, `"content":2`, `"error":"expected: ADD text"`} {
		fmt.Fprintln(conn, []string{"ADD one", "ADD two", "DROP"}[i])
		if !replies.Scan() || !strings.Contains(replies.Text(), want) {
			t.Errorf("reply %q lacks %s", replies.Text(), want)
		}
	}
}

// A request that is under way when the service is told to stop is answered.
func TestStopFinishesWhatWasBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	slow := func(context.Context, http.Header, *Answer) { close(begun); <-finish }
	served := make(chan error, 1)
	go func() { served <- httpServer{newSelf(config{}), slow}.Serve(ctx, listener) }()
	var asking sync.WaitGroup
	asking.Go(func() {
		if status, _ := ask(t, "http://"+listener.Addr().String()); status != http.StatusOK {
			t.Errorf("the request under way was answered %d", status)
		}
	})
	<-begun
	cancel()
	for { // the listener closes first
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	close(finish)
	asking.Wait()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestFlagsMayComeFromTheEnvironment(t *testing.T) {
	env := map[string]string{"SHOP_RATES_THROUGH": "1.2.3.4:5", "SHOP_VERSION": "v7"}
	cfg, err := parse([]string{"web", "--version=v8"}, func(name string) string { return env[name] }, io.Discard)
	if err != nil || cfg.ratesThrough != "1.2.3.4:5" || cfg.version != "v8" {
		t.Errorf("%+v, %v; want the environment's address and the flag's version", cfg, err)
	}
}

func TestBadCommandLinesAreRefused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "name a service first"}, {"--listen=x", "name a service first"}, {"toys", `no service "toys"`},
		{"web --colour=red", "colour"}, {"web now", `unexpected argument "now"`}, {"web --listen=nowhere", "missing port"},
	} {
		err := run(t.Context(), strings.Fields(c.args), func(string) string { return "" }, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("shop %s: %v, want %q", c.args, err, c.want)
		}
	}
	var help bytes.Buffer
	if err := run(t.Context(), []string{"web", "-h"}, func(string) string { return "" }, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-rates-through") {
		t.Errorf("help: %v %s", err, help.String())
	}
}

func TestCallerIsTheNearestCertificate(t *testing.T) {
	for header, want := range map[string]string{
		"":             "",
		"By=a;Hash=b":  "",
		"By=a;URI=b/c": "b/c",
		"URI=far,By=x;URI=near;Subject=\"CN=a,O=b;URI=no\"": "near",
		`Subject="a\",URI=no";uri="quoted"`:                 "quoted",
		`URI=far,Subject="only"`:                            "",
		`"`:                                                 "",
	} {
		if got := callerOf(header); got != want {
			t.Errorf("callerOf(%q) = %q, want %q", header, got, want)
		}
	}
}

func FuzzCallerOf(f *testing.F) {
	f.Add(`By=a;Subject="x\",y";URI=b,URI=c`)
	f.Fuzz(func(t *testing.T, header string) {
		if got := callerOf(header); !strings.Contains(header, got) {
			t.Errorf("callerOf(%q) = %q made something up", header, got)
		}
	})
}
