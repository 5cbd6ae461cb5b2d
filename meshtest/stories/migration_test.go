package stories_test

import (
	"fmt"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// migrationRate is how many requests are begun a second on each side.
const migrationRate = 125

// TestMigration moves a service from machines into a cluster and back while callers on both sides ask for it: no
// request is lost, neither while weights change, nor when one of two machines dies that carry requests, nor when all
// of a side die that carry none. "make soak" sends 20,000 requests.
func TestMigration(t *testing.T) {
	b := newBridge(t)
	_, second := b.join("reviews2", "reviews")
	m := &migration{bridge: b, apps: []*meshtest.Process{b.reviews, second}, requests: meshtest.Length(2000, 20000)}
	m.mesh.Apply(insistent)
	m.move(0)
	m.load(b.web1)
	m.load(b.web2.Machine)
	for _, step := range []func(){
		func() {},
		func() { m.move(50) },
		func() { m.kill("one of dc1's reviews", 0) },
		func() { m.restart("it", 0) },
		func() { m.move(100) },
		func() { m.kill("all of dc1's reviews", 0, 1) },
		func() { m.restart("they", 0, 1) },
		func() { m.move(50) },
		func() { m.move(0) },
		func() {},
	} {
		step()
		m.goOn(m.requests / 10)
	}
	m.report()
}

// insistent also repeats what has reached a machine whose application is dead or dies over it, which only those who
// know the application may switch on.
var insistent = policy("reviews", `  retries: {attempts: 5, retryOn: [connect-failure, refused-stream, reset, gateway-error]}`)

// migration is a service on its way.
type migration struct {
	*bridge
	apps     []*meshtest.Process // of reviews on machines
	requests int                 // in all, at least
	loads    []load
}

type load struct {
	from  string
	tally *meshtest.Tally
	stop  func()
}

// load has a web ask for reviews.
func (m *migration) load(web *meshtest.Machine) {
	tally, stop := meshtest.Load{URL: "http://127.0.0.1:9080/", Rate: migrationRate, Dial: web.DialContext}.Start(m)
	m.loads = append(m.loads, load{web.Name, tally, stop})
}

func (m *migration) note(format string, args ...any) {
	for _, l := range m.loads {
		l.tally.Note(fmt.Sprintf(format, args...))
	}
}

// move sends a share of the requests, in per cent, to the cluster.
func (m *migration) move(share int) {
	m.Helper()
	m.mesh.Apply(weights("dc1", 100-share, "prod-1", share))
	m.mesh.Programmed("shop", "httproute/reviews")
	m.note("weights %d/%d", 100-share, share)
}

func (m *migration) kill(who string, apps ...int) {
	m.note("%s killed", who)
	for _, app := range apps {
		m.apps[app].Kill()
	}
}

// restart starts applications and waits until the mesh counts on them.
func (m *migration) restart(who string, apps ...int) {
	m.Helper()
	for _, app := range apps {
		m.apps[app].Start()
	}
	meshtest.Eventually(m, "both machines are healthy", func() error {
		out, err := m.mesh.TryKubectl("get", "workloads.view.isthmus.dev", "--namespace=shop",
			`--output=jsonpath={.items[?(@.spec.zone=="dc1")].status.health}`)
		if err == nil && out != "Healthy Healthy Healthy Healthy Healthy" { // with web, ratings and the gateway
			err = fmt.Errorf("%s", out)
		}
		return err
	})
	m.note("%s serve again", who)
}

func (m *migration) sent() (sum int) {
	for _, l := range m.loads {
		sum += l.tally.Sent()
	}
	return sum
}

// goOn waits for more requests.
func (m *migration) goOn(more int) {
	m.Helper()
	goal := m.sent() + more
	meshtest.Eventually(m, "requests go on", func() error {
		if sent := m.sent(); sent < goal {
			return fmt.Errorf("%d of %d sent", sent, goal)
		}
		return nil
	})
}

// report ends the load and tells what it saw.
func (m *migration) report() {
	for _, l := range m.loads {
		l.stop()
		m.Logf("%s asked for reviews:\n%s", l.from, l.tally.Timeline("reviews"))
		l.tally.MustLoseNothing(m)
		for _, zone := range []string{"dc1", "prod-1"} {
			if l.tally.ByVersion("reviews", zone) < m.requests/10 {
				m.Errorf("%s was answered by %s too rarely: %s", l.from, zone, l.tally)
			}
		}
	}
}
