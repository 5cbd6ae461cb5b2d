package pilot

import (
	"strconv"
	"sync"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/kube/krt"
)

// virtualServices are the objects that Istio merges (roots with their delegates) on goroutines of its
// own. settle makes that synchronous again: it sends a delegate and its root through the same queues, behind
// everything else, and waits until the merged pair comes out.
type virtualServices struct {
	objects krt.StaticCollection[config.Config]
	laps    *laps
}

// laps counts the rounds that the pair has made.
type laps struct {
	mu   sync.Mutex // guards the rest
	cond sync.Cond
	sent int
	seen int
	over bool
}

// The pair's namespace is nobody's; no proxy can be in it.
const lapNamespace, lapRoot, lapDelegate = "isthmus-lap", "root", "delegate"

func newVirtualServices(stop <-chan struct{}) virtualServices {
	root := config.Config{Meta: lapMeta(lapRoot), Spec: &networking.VirtualService{
		Hosts: []string{"lap.invalid"}, ExportTo: []string{"."},
		Http: []*networking.HTTPRoute{{Name: "lap", Delegate: &networking.Delegate{Name: lapDelegate, Namespace: lapNamespace}}},
	}}
	v := virtualServices{
		objects: krt.NewStaticCollection(nil, []config.Config{root}, krt.WithStop(stop), krt.WithName("virtual services")),
		laps:    &laps{},
	}
	v.laps.cond.L = &v.laps.mu
	return v
}

func lapMeta(name string) config.Meta {
	return config.Meta{GroupVersionKind: gvk.VirtualService, Namespace: lapNamespace, Name: name}
}

func (v virtualServices) put(c config.Config) { v.objects.UpdateObject(c) }

func (v virtualServices) drop(namespace, name string) {
	v.objects.DeleteObject(krt.Named{Namespace: namespace, Name: name}.ResourceName())
}

// watch must be called once, with what Istio makes of the objects.
func (v virtualServices) watch(merged krt.Collection[model.MergedVirtualService]) {
	merged.Register(func(e krt.Event[model.MergedVirtualService]) {
		if m := e.Latest(); m.Namespace == lapNamespace {
			v.laps.record(m.Spec.(*networking.VirtualService))
		}
	})
}

// settle returns when Istio has merged everything put and dropped so far.
func (v virtualServices) settle() {
	v.laps.mu.Lock()
	defer v.laps.mu.Unlock()
	v.laps.sent++
	v.objects.UpdateObject(config.Config{Meta: lapMeta(lapDelegate), Spec: &networking.VirtualService{
		Http: []*networking.HTTPRoute{{Name: strconv.Itoa(v.laps.sent), Redirect: &networking.HTTPRedirect{Uri: "/"}}},
	}})
	for v.laps.seen < v.laps.sent && !v.laps.over {
		v.laps.cond.Wait()
	}
}

// finish lets nobody wait any longer: Istio's goroutines have ended.
func (v virtualServices) finish() {
	v.laps.mu.Lock()
	defer v.laps.mu.Unlock()
	v.laps.over = true
	v.laps.cond.Broadcast()
}

// record notes the number that the merged route carries: Istio names it "ROOT-DELEGATE".
func (l *laps) record(merged *networking.VirtualService) {
	if len(merged.Http) == 0 {
		return
	}
	n, err := strconv.Atoi(merged.Http[0].Name[len("lap-"):])
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = max(l.seen, n)
	l.cond.Broadcast()
}
