package inventory_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/inventory"
)

const reviews = "shop/reviews"

func TestWorkloadsMakeAService(t *testing.T) {
	w := newWorld(t)
	v2 := workload("reviews-2", "v2")
	v2.Labels = map[string]string{"canary": "yes", "isthmus.dev/zone": "forged"}
	v2.Ports = append(v2.Ports, &feedpb.Port{Port: 9443, Protocol: "tls"})
	w.connect("edge-1", workload("reviews-1", "v1"), v2)
	want := &compiler.Discovered{
		Workspace: "shop", Name: "reviews",
		Ports:    []compiler.DiscoveredPort{{Port: 9080, Protocol: "http"}, {Port: 9443, Protocol: "tls"}},
		Versions: []string{"v1", "v2"}, Zones: []string{"dc1"},
		Labels: []map[string]string{
			{"canary": "yes", "isthmus.dev/service": "reviews", "isthmus.dev/version": "v2", "isthmus.dev/workspace": "shop", "isthmus.dev/zone": "dc1"},
			{"isthmus.dev/service": "reviews", "isthmus.dev/version": "v1", "isthmus.dev/workspace": "shop", "isthmus.dev/zone": "dc1"},
		},
		Places: []compiler.DiscoveredPlace{{Zone: "dc1", Alive: true, Versions: []string{"v1", "v2"}, Ports: map[int32]string{9080: "http", 9443: "tls"}}},
	}
	if got := w.taken()[reviews]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestServiceOfTwoZonesIsOne(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.Report("dc2", "edge-9", &feedpb.ReportRequest{Reset_: true, Workloads: []*feedpb.Workload{workload("reviews-2", "v1")}})
	if got := w.taken()[reviews]; got == nil || !reflect.DeepEqual(got.Zones, []string{"dc1", "dc2"}) {
		t.Errorf("got %+v, want zones dc1 and dc2", got)
	}
}

// The last healthy workload of one of two zones is the business of both.
func TestZoneDiesAndComesBack(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"), workload("reviews-2", "v1"))
	w.Report("dc2", "edge-9", &feedpb.ReportRequest{Reset_: true, Workloads: []*feedpb.Workload{workload("reviews-3", "v1")}})
	w.taken()
	health := func(name string, healthy bool) map[string]*compiler.Discovered {
		changed := workload(name, "v1")
		changed.Healthy = healthy
		w.Report("dc1", "edge-1", &feedpb.ReportRequest{Workloads: []*feedpb.Workload{changed}})
		return w.taken()
	}
	if got := health("reviews-1", false); len(got) > 0 {
		t.Errorf("one of two workloads of the zone is ill, and the compiler is told %+v", got)
	}
	if got := health("reviews-2", false)[reviews]; got == nil || got.Places[0].Alive || !got.Places[1].Alive {
		t.Errorf("dc1 is dead, and the compiler is told %+v", got)
	}
	if got := health("reviews-1", true)[reviews]; got == nil || !got.Places[0].Alive {
		t.Errorf("dc1 is back, and the compiler is told %+v", got)
	}
}

// After a restart of the hub, the edge of a cluster that does not lead has nothing to tell. That does not say that
// the zone is dead, nor, however long it takes until the one that leads is heard, that its services are gone.
func TestFollowerSaysNothingOfItsZone(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.Report("dc2", "edge-9", &feedpb.ReportRequest{Reset_: true, Workloads: []*feedpb.Workload{workload("reviews-3", "v1")}})
	w.taken()
	w.save(41)

	w.open()
	w.taken()
	w.EdgeConnected("dc1", "edge-2", &feedpb.ConfigureRequest_Hello{Zone: "dc1", Edge: "edge-2"})
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_UNKNOWN, ConditionsSet: true})
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{ConditionsSet: true})
	w.advance(linger + time.Second)
	if got := w.taken(); len(got) > 0 {
		t.Errorf("a follower was heard, and the compiler is told %+v", got[reviews])
	}
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Extent: feedpb.ReportRequest_ZONE})
	if got := w.taken()[reviews]; got == nil || got.Places[0].Alive || !got.Places[1].Alive {
		t.Errorf("it leads a zone with nothing in it, and the compiler is told %+v", got)
	}
}

// What an edge of a cluster told stays when it does not lead any more, until its heir tells what there is.
func TestHeirTellsTheWholeZone(t *testing.T) {
	w := newWorld(t)
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Extent: feedpb.ReportRequest_ZONE, Workloads: []*feedpb.Workload{workload("reviews-1", "v1"), workload("reviews-2", "v1")}})
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Reset_: true, Extent: feedpb.ReportRequest_UNKNOWN, ConditionsSet: true})
	w.Show()
	if got := w.workloads.names(); len(got) != 2 {
		t.Errorf("nobody leads, and these are left: %v", got)
	}
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{Extent: feedpb.ReportRequest_ZONE, Workloads: []*feedpb.Workload{workload("reviews-2", "v1")}})
	w.Show()
	if got := w.workloads.names(); len(got) != 1 || got[0] != "shop/reviews-2" {
		t.Errorf("the heir told of reviews-2, and these are shown: %v", got)
	}
	w.Report("dc1", "edge-2", &feedpb.ReportRequest{WorkloadsGone: []string{"reviews-2"}})
	w.Show()
	if got := w.workloads.names(); len(got) != 0 {
		t.Errorf("the heir said that reviews-2 is gone, and these are shown: %v", got)
	}
}

func TestPodsTellIdentitySelectorAndPorts(t *testing.T) {
	w := newWorld(t)
	pod := workload("reviews-1", "v1")
	pod.Identity, pod.Selector = "spiffe://isthmus.local/ns/store/sa/books", map[string]string{"app": "reviews"}
	pod.Ports[0].Target = 8080
	w.connect("edge-1", pod)
	want := []compiler.DiscoveredPlace{{Zone: "dc1", Alive: true, Versions: []string{"v1"}, Identities: []string{pod.Identity},
		Selector: pod.Selector, Ports: map[int32]string{9080: "http"}, Targets: map[int32]int32{9080: 8080}}}
	if got := w.taken()[reviews]; got == nil || !reflect.DeepEqual(got.Places, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOnlyShapeChangesReachTheCompiler(t *testing.T) {
	changes := map[string]struct {
		report *feedpb.ReportRequest
		shape  bool
	}{
		"Health":       {&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "reviews-1", Workspace: "shop", Service: "reviews", Version: "v1", Connected: true, Ports: workload("", "").Ports, Role: "sidecar"}}}, false},
		"OneMore":      {&feedpb.ReportRequest{Workloads: []*feedpb.Workload{workload("reviews-2", "v1")}}, false},
		"OneGone":      {&feedpb.ReportRequest{WorkloadsGone: []string{"reviews-1"}}, false},
		"Receipt":      {&feedpb.ReportRequest{Receipts: []*feedpb.Receipt{{Revision: 7, Proxies: []string{"reviews-1"}}}}, false},
		"NewVersion":   {&feedpb.ReportRequest{Workloads: []*feedpb.Workload{workload("reviews-2", "v2")}}, true},
		"GatewayComes": {&feedpb.ReportRequest{Workloads: []*feedpb.Workload{{Name: "gw-1", Workspace: "shop", Service: "ingress", Role: "gateway"}}}, false},
	}
	for name, c := range changes {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.connect("edge-1", workload("reviews-1", "v1"))
			w.taken()
			w.Report("dc1", "edge-1", c.report)
			if got := w.taken(); (len(got) > 0) != c.shape {
				t.Errorf("compiler is told %v, want told: %v", got, c.shape)
			}
		})
	}
}

func TestProtocolOfMostWorkloadsCounts(t *testing.T) {
	w := newWorld(t)
	odd := workload("reviews-3", "v1")
	odd.Ports[0].Protocol = "grpc"
	w.connect("edge-1", workload("reviews-1", "v1"), workload("reviews-2", "v1"), odd)
	got := w.taken()[reviews]
	if want := []compiler.DiscoveredPort{{Port: 9080, Protocol: "http"}}; !reflect.DeepEqual(got.Ports, want) {
		t.Errorf("ports are %v, want %v", got.Ports, want)
	}
}

func TestShapeLingersAfterTheLastWorkload(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.taken()
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{WorkloadsGone: []string{"reviews-1"}})
	w.advance(linger)
	if got := w.taken(); len(got) != 0 {
		t.Fatalf("withdrawn too early: %v", got)
	}
	w.advance(time.Second)
	if got, told := w.taken()[reviews]; !told || got != nil {
		t.Errorf("not withdrawn: %v", got)
	}
}

func TestShapeStaysWhileNoEdgeCanTell(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.taken()
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{WorkloadsGone: []string{"reviews-1"}})
	w.EdgeGone("dc1", "edge-1")
	w.advance(24 * time.Hour)
	if got := w.taken(); len(got) != 0 {
		t.Errorf("withdrawn while the zone was silent: %v", got)
	}
}

func TestRestartKeepsShapes(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"), workload("reviews-2", "v2"))
	before := w.taken()[reviews]
	w.save(41)

	w.open()
	if got := w.Saved(); got != 41 {
		t.Errorf("saved revision is %d, want 41", got)
	}
	if got := w.taken()[reviews]; !reflect.DeepEqual(got, before) {
		t.Fatalf("after a restart: %+v, want %+v", got, before)
	}
	w.connect("edge-1") // an edge that lost its disk: its workloads are still to come
	if got := w.taken(); len(got) != 0 {
		t.Fatalf("an edge that starts empty withdrew %v", got)
	}
	w.Report("dc1", "edge-1", &feedpb.ReportRequest{Workloads: []*feedpb.Workload{workload("reviews-1", "v1")}})
	w.advance(linger + time.Second)
	if got := w.taken()[reviews]; got == nil || !reflect.DeepEqual(got.Versions, []string{"v1"}) {
		t.Errorf("got %+v, want version v1 only", got)
	}
}

func TestDamagedFileIsNotIgnored(t *testing.T) {
	for name, text := range map[string]string{"Cut": `{"format":1,"serv`, "Newer": `{"format":2}`} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := inventory.Open(inventory.Config{File: w.file, Now: time.Now})
			if err == nil || !strings.Contains(err.Error(), w.file) {
				t.Errorf("got error %v, want one that names the file", err)
			}
		})
	}
}

func TestForgottenZoneTakesItsShapes(t *testing.T) {
	w := newWorld(t)
	w.connect("edge-1", workload("reviews-1", "v1"))
	w.taken()
	w.Forget("dc1")
	if got, told := w.taken()[reviews]; !told || got != nil {
		t.Errorf("still there: %v", got)
	}
	w.Show()
	if names := w.workloads.names(); len(names) != 0 {
		t.Errorf("still shown: %v", names)
	}
}

func (w *world) advance(d time.Duration) {
	w.time = w.time.Add(d)
	w.Sweep()
}

func (w *world) save(revision int64) {
	w.t.Helper()
	if err := w.Save(revision); err != nil {
		w.t.Fatal(err)
	}
}
