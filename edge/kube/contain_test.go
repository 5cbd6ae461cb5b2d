package kube

import (
	"io"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/client-go/rest"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// court is a Cluster that nobody runs, whose objects are written as soon as they are wanted, and proxies that refuse
// some versions of objects.
type court struct {
	*Cluster
	t       *testing.T
	refused []string // "name version"
	told    map[string]*feedpb.Rejection
	config  Config
}

func (c *court) Rejected(r *feedpb.Rejection) {
	if c.told[r.Resource] = r; r.Resolved {
		delete(c.told, r.Resource)
	}
}

func (*court) Inventory([]*feedpb.Workload)           {}
func (*court) Workloads([]*feedpb.Workload, []string) {}
func (*court) Facts(*feedpb.Cluster)                  {}
func (*court) Applied(int64)                          {}
func (*court) Acknowledged(int64, []string)           {}
func (*court) Gone([]string)                          {}
func (*court) Drifted(Drift)                          {}
func (*court) Condition(string, *problem.Error)       {}

func newCourt(t *testing.T, refused ...string) *court {
	c := &court{t: t, refused: refused}
	c.config = Config{REST: &rest.Config{Host: "https://192.0.2.1"}, Zone: "z", Events: c, ReceiptsAccount: "istio-system/receipts",
		RefusedFile: filepath.Join(t.TempDir(), "refused"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	c.restart()
	return c
}

func (c *court) restart() {
	c.t.Helper()
	c.told = map[string]*feedpb.Rejection{}
	var err error
	if c.Cluster, err = New(c.config); err != nil {
		c.t.Fatal(err)
	}
	q := newQueue() // an edge that leads, whose work the test does
	c.t.Cleanup(q.ShutDown)
	c.queue.Store(q)
}

// apply applies objects, "VirtualService/x/a version", and removes those without a version.
func (c *court) apply(revision int64, objects ...string) {
	c.t.Helper()
	body, err := anypb.New(&networking.VirtualService{Hosts: []string{"h"}})
	if err != nil {
		c.t.Fatal(err)
	}
	var upserts []*feedpb.Resource
	var removed []string
	for _, text := range objects {
		name, version, ok := strings.Cut(text, " ")
		if ok {
			upserts = append(upserts, &feedpb.Resource{Name: "VirtualService/x/" + name, Version: version, Body: body})
		} else {
			removed = append(removed, "VirtualService/x/"+name)
		}
	}
	if err := c.Apply(revision, upserts, removed); err != nil {
		c.t.Fatal(err)
	}
}

// there is what is in the cluster, "name version".
func (c *court) there() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := maps.Clone(c.wanted)
	for name := range c.contained.held {
		names[name] = nil
	}
	for name := range names {
		if w := c.now(name); w != nil {
			all = append(all, w.name+" "+w.Version)
		}
	}
	slices.Sort(all)
	return all
}

// pass writes everything, and has the proxies say what they make of it, until there is nothing more to say; in between
// happens once, after the first verdict.
func (c *court) pass(between func()) {
	c.t.Helper()
	for range 3 * maxRounds {
		for _, name := range c.pending() {
			c.settle(name, c.wantedNow(name))
		}
		aim, _ := c.target(func(_ target, wait bool) bool {
			if wait {
				c.t.Error("something is not written")
			}
			return true
		})
		var refusal *accusation
		there := c.there()
		if len(there) == 1 {
			there = append(there, "gone") // for proxies that refuse that the other one is
		}
		for _, one := range there {
			if slices.Contains(c.refused, one) {
				refusal = &accusation{"web", "no " + one}
			}
		}
		c.verdict(aim.generation, aim.changes, refusal)
		if between != nil {
			between()
			between = nil
		} else if !c.onTrial(aim.generation) {
			return
		}
	}
	c.t.Fatal("no end")
}

func (c *court) pending() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.progress.pending))
}

func (c *court) wantedNow(name string) *wanted {
	w, _ := c.want(name)
	return w
}

// expect compares what is in the cluster and which objects are told to be refused.
func (c *court) expect(there, refused string) {
	c.t.Helper()
	if got := strings.Join(c.there(), ", "); got != there {
		c.t.Errorf("there is %q, want %q", got, there)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(c.told)) {
		names = append(names, strings.TrimPrefix(name, "VirtualService/x/")+" "+c.told[name].Version)
	}
	if got := strings.Join(names, ", "); got != refused {
		c.t.Errorf("refused is %q, want %q", got, refused)
	}
}

func TestContain(t *testing.T) {
	c := newCourt(t, "b 2", "c 1", "d 9")
	c.apply(1, "a 1", "b 1", "d 1")
	c.pass(nil)
	c.apply(2, "a 2", "b 2", "c 1", "d")
	c.pass(nil)
	c.expect("a 2, b 1", "b 2, c 1")
	for _, name := range []string{"b 2", "c 1"} {
		if got := c.told["VirtualService/x/"+name[:1]]; got.GetProxy() != "web" || got.GetMessage() != "no "+name {
			t.Errorf("of %s is said %v", name, got)
		}
	}
	c.apply(3, "b 3", "c")
	c.pass(nil)
	c.expect("a 2, b 3", "")
	c.apply(4, "b 2", "d 9") // together, and what changes meanwhile waits
	c.pass(func() { c.apply(5, "a 3", "d 8") })
	c.expect("a 3, b 3, d 8", "b 2")
	c.apply(6, "b")
	c.pass(nil)
	c.expect("a 3, d 8", "")
}

// What proxies refuse for another reason is nobody's fault here.
func TestContainNotOurs(t *testing.T) {
	c := newCourt(t, "a 1")
	c.apply(1, "a 1") // was there before we came
	c.pass(nil)
	c.expect("a 1", "")
	c.apply(2, "b 1", "c 1")
	c.pass(nil)
	c.expect("a 1, b 1, c 1", "")
}

// An edge that restarts still puts back what was refused, and says so, until something else is wanted.
func TestContainOverRestarts(t *testing.T) {
	c := newCourt(t, "a 2", "b 1")
	c.apply(1, "a 1")
	c.pass(nil)
	c.apply(2, "a 2", "b 1")
	c.pass(nil)
	c.restart()
	c.apply(2, "a 2", "b 1")
	c.expect("a 1", "a 2, b 1")
	c.pass(nil)
	c.expect("a 1", "a 2, b 1")
	c.restart()
	c.apply(3, "a 2", "b 2")
	c.pass(nil)
	c.expect("a 1, b 2", "a 2")
	c.apply(4, "a 3")
	c.pass(nil)
	c.restart()
	c.apply(5, "a 3", "b 1") // nobody remembers that
	c.expect("a 3, b 1", "")
}

// What changed while another edge led is no suspect for one that takes over, which has nothing to put back then.
func TestContainTakeOver(t *testing.T) {
	c := newCourt(t, "a 2")
	c.queue.Store(nil)
	c.apply(1, "a 1", "b 1")
	c.apply(2, "a 2", "b 2")
	c.takeOver()
	c.pass(nil)
	c.expect("a 2, b 2", "")
}

// An edge that does not lead tells nobody what it remembers, until it does.
func TestContainRemembersInSilence(t *testing.T) {
	c := newCourt(t, "a 2")
	c.apply(1, "a 1")
	c.pass(nil)
	c.apply(2, "a 2")
	c.pass(nil)
	c.restart()
	c.queue.Store(nil)
	c.apply(2, "a 2")
	c.expect("a 1", "")
	c.takeOver()
	c.expect("a 1", "a 2")
}

// It may be refused to take an object away: then it stays, and that is told, also after a restart.
func TestContainRemoval(t *testing.T) {
	c := newCourt(t, "gone")
	c.apply(1, "a 1", "b 1")
	c.pass(nil)
	c.apply(2, "a")
	c.pass(nil)
	c.expect("a 1, b 1", "a 1")
	c.restart()
	c.apply(2, "b 1")
	c.expect("a 1, b 1", "a 1")
	c.restart()
	c.apply(2, "a 1", "b 1") // the removal was taken back meanwhile
	c.expect("a 1, b 1", "")
	c.apply(3, "a 3")
	c.expect("a 3, b 1", "")
}

// A verdict about what is not there any more is none.
func TestContainVoidVerdict(t *testing.T) {
	c := newCourt(t)
	c.apply(1, "a 1")
	c.pass(nil)
	c.apply(2, "a 2")
	aim, _ := c.target(func(target, bool) bool { return true })
	c.verdict(aim.generation+1, aim.changes, &accusation{"web", "no"})
	c.expect("a 2", "")
	if c.onTrial(aim.generation) {
		t.Error("there is a trial")
	}
}
