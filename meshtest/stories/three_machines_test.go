package stories_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

// TestThreeMachines types what the README tells to type, on machines that know of a mesh only by these lines: a
// hub on one, the edge on another, agents on those with applications. The applications run already, and go on.
func TestThreeMachines(t *testing.T) {
	mesh := meshtest.New(t)
	mesh.Hub()
	capture := mesh.LAN.Capture()
	s := three{T: t, mesh: mesh}
	s.serve()
	s.join()

	mesh.Run(t, "by every name of a service", s.names)
	mesh.Run(t, "other names are the resolver's", s.otherNames)
	mesh.Run(t, "nothing was edited", s.nothingEdited)
	mesh.Run(t, "the wire shows TLS only", func(t *testing.T) { s.wire(t, capture) })
	mesh.Run(t, "strangers are refused", s.strangers)
	mesh.Run(t, "over IPv6", func(t *testing.T) { s.ipv6(t, capture) })
}

// three is the story's stage.
type three struct {
	*testing.T
	mesh *meshtest.World

	web, reviews, ratings, outside *meshtest.Machine
	// before are the files and the processes that a join has no business with.
	before string
}

// serve starts the applications, and one that never joins.
func (s *three) serve() {
	s.web, s.reviews, s.ratings, s.outside = s.mesh.Machine("web1"), s.mesh.Machine("reviews1"), s.mesh.Machine("ratings1"), s.mesh.Machine("outside")
	s.web.Serve("web", "--reviews=http://reviews:9080")
	s.reviews.Serve("reviews", "--version=v2", "--ratings=http://ratings:9080")
	s.ratings.Serve("ratings")
	s.outside.Serve("details")
	s.mesh.LAN.Name("outside.example", s.outside.IPv4)
	s.before = s.untouched(s.T)
}

// join makes the zone and joins the machines, by the lines that isthmus prints.
func (s *three) join() {
	edge := s.mesh.Machine("edge1")
	s.paste(edge, s.line("zone", "create", "dc1", "--type", "machines"))
	meshtest.Eventually(s, "the edge is connected", func() error {
		if out, err := s.mesh.TryIsthmus("zone", "list"); err != nil || !strings.Contains(out, "yes") {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	began := time.Now()
	for service, machine := range map[string]*meshtest.Machine{"web": s.web, "reviews": s.reviews, "ratings": s.ratings} {
		line := s.line("token", "create", "--zone", "dc1", "--workspace", "shop", "--service", service)
		s.paste(machine, line+" --port 9080=http --version "+version(service))
	}
	meshtest.Eventually(s, "web reaches ratings through reviews", func() error {
		if tally := s.web.Ask(1, "http://127.0.0.1:9080/"); tally.Failed() > 0 || len(tally.Callers("ratings")) == 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
	s.Logf("three machines joined and served within %v", time.Since(began).Round(time.Millisecond))
}

func version(service string) string {
	if service == "reviews" {
		return "v2"
	}
	return "v1"
}

// line runs a command that prints a line to paste.
func (s *three) line(args ...string) string {
	s.Helper()
	out := s.mesh.Isthmus(args...)
	if strings.Count(out, "\n") != 1 {
		s.Fatalf("isthmus %v should print one line: %s", args, out)
	}
	return strings.TrimSpace(out)
}

// paste runs a line as it is, but for the folder: the machines share their disks.
func (s *three) paste(m *meshtest.Machine, line string) {
	m.Start("pasted", func() []string { return []string{"sh", "-c", "exec " + line + " --data " + m.Dir("data")} })
}

func (s *three) names(t *testing.T) {
	for _, name := range []string{"reviews", "reviews.shop", "reviews.shop.mesh"} {
		asked := s.mesh.LAN.Asked(name)
		tally := s.web.Ask(20, "http://"+name+":9080/")
		tally.MustLoseNothing(t)
		if tally.ByVersion("reviews", "v2") != 20 || tally.ByVersion("ratings", "v1") != 20 {
			t.Errorf("http://%s:9080: %s", name, tally)
		}
		for service, caller := range map[string]string{"reviews": "web", "ratings": "reviews"} {
			if got, want := strings.Join(tally.Callers(service), " "), "spiffe://isthmus.local/ns/shop/sa/"+caller; got != want {
				t.Errorf("%s saw callers %q, want %q", service, got, want)
			}
		}
		if more := s.mesh.LAN.Asked(name) - asked; more > 0 {
			t.Errorf("the network's name server was asked %d times for %s, which is the mesh's", more, name)
		}
	}
}

// otherNames are resolved as before, and lead to where they led.
func (s *three) otherNames(t *testing.T) {
	tally := s.web.Ask(5, "http://outside.example:9080/")
	tally.MustLoseNothing(t)
	if tally.ByHost("details", "outside") != 5 || strings.Join(tally.Callers("details"), "") != "" {
		t.Errorf("outside of the mesh: %s", tally)
	}
	if s.mesh.LAN.Asked("outside.example") == 0 {
		t.Error("the network's name server was not asked")
	}
	if out, err := s.web.RunAsApp(t.Context(), "getent", "hosts", "nowhere.example"); err == nil {
		t.Errorf("nowhere.example is %s", out)
	}
}

// untouched is what administrators and applications of the machines see, without what waits in queues at the moment.
func (s *three) untouched(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, m := range []*meshtest.Machine{s.web, s.reviews, s.ratings} {
		out, err := m.Run(t.Context(), "", "sh", "-c", "cat /etc/resolv.conf /etc/hosts; ss --no-header --listening --tcp --numeric --processes 'sport = :9080' | awk '{print $1, $4, $6}'")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s:\n%s", m.Name, out)
	}
	return all.String()
}

func (s *three) nothingEdited(t *testing.T) {
	if now := s.untouched(t); now != s.before {
		t.Errorf("before the join:\n%s\nafter it:\n%s", s.before, now)
	}
}

// wire looks at what passed between machines: to a port of the mesh it is TLS from the first byte, and nobody reads
// what is in it. What goes to a machine outside of the mesh shows that the test would see it.
func (s *three) wire(t *testing.T, capture *netns.Capture) {
	const marker = "for-your-eyes-only"
	s.web.Ask(5, "http://reviews:9080/"+marker).MustLoseNothing(t)
	for _, flow := range capture.Saw(marker) {
		t.Errorf("plaintext from %s to %s", flow.From, flow.To)
	}
	s.web.Ask(1, "http://outside.example:9080/"+marker).MustLoseNothing(t)
	if len(capture.Saw(marker)) == 0 {
		t.Error("not even plaintext is seen")
	}
	s.onlyTLS(t, capture, s.web.IPv4, s.reviews.IPv4)
	s.onlyTLS(t, capture, s.reviews.IPv4, s.ratings.IPv4)
	s.allTLS(t, capture)
}

// allTLS wants the same of whatever passed between machines of the mesh, names aside: hub, edge, agents and what
// people type at the desk.
func (s *three) allTLS(t *testing.T, capture *netns.Capture) {
	t.Helper()
	passed := map[uint16]int{}
	for _, flow := range capture.Flows() {
		if flow.From.Addr() == s.outside.IPv4 || flow.To.Addr() == s.outside.IPv4 || flow.From.Port() == 53 || flow.To.Port() == 53 {
			continue
		}
		if !flow.TLS() {
			t.Errorf("%s to %s begins with %q", flow.From, flow.To, flow.Bytes[:min(20, len(flow.Bytes))])
		}
		passed[flow.To.Port()]++
	}
	for port, whose := range map[uint16]string{7443: "the hub's API", 7444: "the hub's feed", 15012: "the edge"} {
		if passed[port] == 0 {
			t.Errorf("nothing was seen on its way to %s", whose)
		}
	}
}

// onlyTLS fails the test unless there were connections from one address to the application's port of another, all
// of them TLS.
func (s *three) onlyTLS(t *testing.T, capture *netns.Capture, from, to netip.Addr) {
	t.Helper()
	count := 0
	for _, flow := range capture.Flows() {
		if flow.From.Addr() != from || flow.To != netip.AddrPortFrom(to, 9080) {
			continue
		}
		count++
		if !flow.TLS() {
			t.Errorf("%s to %s begins with %q", flow.From, flow.To, flow.Bytes[:min(20, len(flow.Bytes))])
		}
	}
	if count == 0 {
		t.Errorf("nothing passed from %s to %s", from, to)
	}
}

// ipv6 adds a machine that is reached over IPv6 alone, and one that has both.
func (s *three) ipv6(t *testing.T, capture *netns.Capture) {
	details, web := s.mesh.Machine("details6"), s.mesh.Machine("web46")
	for service, m := range map[string]*meshtest.Machine{"details": details, "web": web} {
		m.Serve(service)
		line := s.line("token", "create", "--zone", "dc1", "--workspace", "shop", "--service", service) + " --port 9080=http"
		if m == web {
			line += " --address " + m.IPv4.String()
		}
		s.paste(m, line+" --address "+m.IPv6.String())
	}
	meshtest.Eventually(t, "the one reaches the other", func() error {
		if tally := web.Ask(1, "http://details:9080/"); tally.Failed() > 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
	tally := web.Ask(20, "http://details:9080/")
	tally.MustLoseNothing(t)
	if got := strings.Join(tally.Callers("details"), " "); got != "spiffe://isthmus.local/ns/shop/sa/web" {
		t.Errorf("details saw callers %q", got)
	}
	s.onlyTLS(t, capture, web.IPv6, details.IPv6)
	url := "http://" + netip.AddrPortFrom(details.IPv6, 9080).String() + "/"
	if out, err := s.outside.Get(url); err == nil {
		t.Errorf("plaintext from outside was answered at %s: %s", url, out)
	}
}

func (s *three) strangers(t *testing.T) {
	before := s.served(t)
	for _, address := range []netip.Addr{s.reviews.IPv4, s.reviews.IPv6} {
		at := netip.AddrPortFrom(address, 9080).String()
		for _, url := range []string{"http://" + at + "/", "https://" + at + "/"} {
			if out, err := s.outside.Get(url, "--insecure"); err == nil {
				t.Errorf("%s was answered: %s", url, out)
			}
		}
	}
	if after := s.served(t); after != before {
		t.Errorf("reviews received %s requests, and %s after strangers asked", before, after)
	}
}

// served is how many requests the application of reviews has received.
func (s *three) served(t *testing.T) string {
	t.Helper()
	out, err := s.reviews.Run(t.Context(), "", "curl", "--silent", "--fail", "http://127.0.0.1:9080/requests")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
