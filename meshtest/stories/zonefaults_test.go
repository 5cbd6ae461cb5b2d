package stories_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/netns"
)

// TestZoneFaults takes what a cluster's zone depends on away, part by part, while callers on both sides ask for a
// service that is moved meanwhile. In every part: no request fails; a change that the hub accepted meanwhile is obeyed
// in both zones in the end; "isthmus status" says in words what is wrong, and afterwards that nothing is; objects of
// others in the cluster stay as they are. "make soak" tells most parts several times.
func TestZoneFaults(t *testing.T) {
	f := &zoneFaults{bridge: newBridge(t)}
	f.prod.Apply(theirs)
	f.move(t)
	f.arrived(t)
	f.mesh.Run(t, "two clusters of one name", f.twoOfOneName)
	f.mesh.Run(t, "clocks ten minutes apart", f.clocksApart)
	for round := range meshtest.Length(1, 5) {
		for _, part := range []struct {
			name string
			tell func(*testing.T)
		}{
			{"the hub is cut off, both ways", f.cutBothWays},
			{"nothing of the hub arrives", f.cutFromHub},
			{"nothing arrives at the hub", f.cutToHub},
			{"the API server takes two seconds a call", f.slowAPI},
			{"etcd is restarted", f.etcdRestarted},
			{"istiod is restarted", f.istiodRestarted},
			{"the cluster is restored from a backup", f.restored},
		} {
			f.mesh.Run(t, fmt.Sprintf("%s/%d", part.name, round+1), func(t *testing.T) {
				before := f.others(t)
				part.tell(t)
				f.well(t)
				if after := f.others(t); after != before {
					t.Errorf("the team's object was %s, and is %s", before, after)
				}
			})
		}
	}
}

// zoneFaults is the bridge with a route that is moved from side to side.
type zoneFaults struct {
	*bridge
	share int // of requests that the cluster gets, in per cent
}

// theirs is an object of the team's own in the cluster.
const theirs = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {namespace: store, name: theirs}
spec: {hosts: [theirs.example], http: [{route: [{destination: {host: details}}]}]}`

// others is the team's object, with the number of its last change.
func (f *zoneFaults) others(t *testing.T) string {
	t.Helper()
	object, err := f.prod.Dynamic.Resource(virtualServices).Namespace("store").Get(t.Context(), "theirs", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %v %v", object.GetResourceVersion(), object.GetLabels(), object.Object["spec"])
}

// move has the other side serve from now on.
func (f *zoneFaults) move(t *testing.T) {
	t.Helper()
	f.share = 100 - f.share
	f.mesh.Apply(weights("dc1", 100-f.share, "prod-1", f.share))
}

// arrived waits until both sides do what the newest weights say.
func (f *zoneFaults) arrived(t *testing.T) {
	t.Helper()
	f.mesh.Programmed("shop", "httproute/reviews")
	zone := map[int]string{0: "dc1", 100: "prod-1"}[f.share]
	eventuallyAll(t, f.web1, reviewsURL, "reviews", zone)
	eventuallyAll(t, f.web2.Machine, reviewsURL, "reviews", zone)
}

// under lets something happen while callers on both sides ask, and loses nothing.
func (f *zoneFaults) under(t *testing.T, happens func()) {
	t.Helper()
	for _, web := range []*meshtest.Machine{f.web1, f.web2.Machine} {
		tally, stop := meshtest.Load{URL: "http://127.0.0.1:9080/", Rate: 25, Dial: web.DialContext}.Start(t)
		defer func() {
			stop()
			t.Logf("%s asked for reviews:\n%s", web.Name, tally.Timeline("reviews"))
			tally.MustLoseNothing(t)
		}()
	}
	happens()
}

// well waits until nothing is wrong any more. That something was put back is told for some time afterwards.
func (f *zoneFaults) well(t *testing.T) {
	t.Helper()
	meshtest.Eventually(t, "all is well again", func() error {
		out, err := f.mesh.TryIsthmus("status")
		if strings.Contains(out, "All is well.") || strings.Contains(out, "1 matter needs") && strings.Contains(out, problem.DriftMended.Reason) {
			return nil
		}
		return fmt.Errorf("%v: %s", err, out)
	})
}

// waits is that the newest weights are not said to be in force.
func (f *zoneFaults) waits(t *testing.T) {
	t.Helper()
	route := f.mesh.Kubectl("get", "httproute", "reviews", "--namespace=shop",
		`--output=jsonpath={.metadata.generation} {range .status.parents[*].conditions[?(@.type=="Programmed")]}{.observedGeneration} {.status}{end}`)
	t.Logf("the route's generation, and what is said of Programmed: %s", route)
	if generation, told, _ := strings.Cut(route, " "); told == generation+" True" {
		t.Errorf("the route is said to be programmed, though the cluster cannot know it")
	}
}

// A zone that is cut off from the hub goes on as it was. The hub notices within half a minute, by its own pings.
func (f *zoneFaults) cutBothWays(t *testing.T) {
	f.cut(t, func(hub, edge *netns.Host) { f.mesh.LAN.Cut(hub, edge); f.mesh.LAN.Cut(edge, hub) })
}

// One way is as good as none: the edge hears nothing, and its connection ends at both ends.
func (f *zoneFaults) cutFromHub(t *testing.T) {
	f.cut(t, f.mesh.LAN.Cut)
}

// The edge hears the hub until the hub gives the connection up.
func (f *zoneFaults) cutToHub(t *testing.T) {
	f.cut(t, func(hub, edge *netns.Host) { f.mesh.LAN.Cut(edge, hub) })
}

func (f *zoneFaults) cut(t *testing.T, cut func(hub, edge *netns.Host)) {
	hub, edge := f.mesh.Hub().Machine.Host, f.edge.Host
	t.Cleanup(func() { f.mesh.LAN.Heal(hub, edge) })
	f.under(t, func() {
		cut(hub, edge)
		f.mesh.Says("zone prod-1: no edge is connected; traffic goes on, changes wait")
		f.move(t)
		f.waits(t)
		f.mesh.LAN.Heal(hub, edge)
		f.arrived(t)
	})
}

// A slow API server delays changes and nothing else.
func (f *zoneFaults) slowAPI(t *testing.T) {
	const call = 2 * time.Second
	t.Cleanup(func() { f.mesh.LAN.Heal(f.prod.Machine.Host, f.edge.Host) })
	f.under(t, func() {
		f.mesh.LAN.Delay(f.prod.Machine.Host, f.edge.Host, call)
		began := time.Now()
		f.move(t)
		f.mesh.ProgrammedWithin(50*time.Second, "shop", "httproute/reviews") // everything that is asked takes two seconds
		f.arrived(t)
		if took := time.Since(began); took < call {
			t.Errorf("the change took %v: the API server is not slow", took)
		}
		f.well(t)
		f.mesh.LAN.Heal(f.prod.Machine.Host, f.edge.Host)
		f.move(t)
		f.arrived(t)
	})
}

// Without etcd an API server answers nothing that is worth it; the edge tries again until it does.
func (f *zoneFaults) etcdRestarted(t *testing.T) {
	f.under(t, func() {
		f.prod.Etcd.Kill()
		f.move(t)
		f.mesh.Says(problem.ClusterAway.Reason)
		f.waits(t)
		f.prod.Etcd.Start()
		f.prod.WaitReady()
		f.arrived(t)
	})
}

// Proxies keep what they have while istiod is away, and nobody says that they have more; what changed meanwhile it reads
// when it comes.
func (f *zoneFaults) istiodRestarted(t *testing.T) {
	f.under(t, func() {
		f.prod.Istiod.Kill()
		f.move(t)
		f.mesh.Says(problem.IstiodSilent.Reason)
		f.waits(t)
		f.prod.Istiod.Start()
		f.prod.WaitIstiod()
		f.arrived(t)
		f.move(t)
		f.arrived(t)
	})
}

// A cluster that is as it was before the newest changes is brought to them again. Whoever restores one restarts what
// watches it, as Kubernetes' manual says, because its revisions count up from a lower number; istiod needs that, the
// edge does not.
func (f *zoneFaults) restored(t *testing.T) {
	f.under(t, func() {
		f.prod.Backup()
		f.move(t)
		f.mesh.Apply(route("details", `  - backendRefs: [{name: details, port: 9080}]
    timeouts: {request: 3s}`))
		f.mesh.Programmed("shop", "httproute/details")
		f.arrived(t)
		f.prod.Restore()
		f.prod.Istiod.Kill()
		f.prod.Istiod.Start()
		f.prod.WaitIstiod()
		f.holds(t, "details")
		f.mesh.Says(problem.DriftMended.Reason)
		f.arrived(t)
		f.move(t)
		f.arrived(t)
		f.mesh.Kubectl("delete", "httproute", "details", "--namespace=shop")
	})
}

// holds waits until the cluster has a VirtualService.
func (f *zoneFaults) holds(t *testing.T, name string) {
	t.Helper()
	took := meshtest.Eventually(t, "the cluster has the route "+name, func() error {
		_, err := f.prod.Dynamic.Resource(virtualServices).Namespace("store").Get(t.Context(), name, metav1.GetOptions{})
		return err
	})
	t.Logf("the route %s is there after %v", name, took.Round(100*time.Millisecond))
}
