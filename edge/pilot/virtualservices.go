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
// own. settle makes that synchronous again. A change takes one of two ways: an object that is served comes to the
// merger directly, a delegate by way of its root. So settle sends something of its own down either way, behind
// everything else, and waits until both come out.
type virtualServices struct {
	objects krt.StaticCollection[config.Config]
	laps    *laps
}

// laps counts the rounds.
type laps struct {
	mu   sync.Mutex // guards the rest
	cond sync.Cond
	sent int
	seen map[string]int // by object
	over bool
}

// The objects' namespace is nobody's; no proxy can be in it.
const lapNamespace, lapDirect, lapRoot, lapDelegate = "isthmus-lap", "direct", "root", "delegate"

func newVirtualServices(stop <-chan struct{}) virtualServices {
	root := config.Config{Meta: lapMeta(lapRoot), Spec: &networking.VirtualService{
		Hosts: []string{"lap.invalid"}, ExportTo: []string{"."},
		Http: []*networking.HTTPRoute{{Delegate: &networking.Delegate{Name: lapDelegate, Namespace: lapNamespace}}},
	}}
	v := virtualServices{
		objects: krt.NewStaticCollection(nil, []config.Config{root}, krt.WithStop(stop), krt.WithName("virtual services")),
		laps:    &laps{seen: map[string]int{}},
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
			v.laps.record(m.Name, m.Spec.(*networking.VirtualService))
		}
	})
}

// settle returns when Istio has merged everything put and dropped so far.
func (v virtualServices) settle() {
	l := v.laps
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	route := []*networking.HTTPRoute{{Name: strconv.Itoa(l.sent), Redirect: &networking.HTTPRedirect{Uri: "/"}}}
	v.objects.UpdateObject(config.Config{Meta: lapMeta(lapDelegate), Spec: &networking.VirtualService{Http: route}})
	v.objects.UpdateObject(config.Config{Meta: lapMeta(lapDirect), Spec: &networking.VirtualService{
		Hosts: []string{"lap.invalid"}, ExportTo: []string{"."}, Http: route,
	}})
	for (l.seen[lapRoot] < l.sent || l.seen[lapDirect] < l.sent) && !l.over {
		l.cond.Wait()
	}
}

// finish lets nobody wait any longer: Istio's goroutines have ended.
func (v virtualServices) finish() {
	v.laps.mu.Lock()
	defer v.laps.mu.Unlock()
	v.laps.over = true
	v.laps.cond.Broadcast()
}

// record notes the number that a merged object carries.
func (l *laps) record(name string, merged *networking.VirtualService) {
	if len(merged.Http) == 0 {
		return
	}
	n, err := strconv.Atoi(merged.Http[0].Name)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[name] = max(l.seen[name], n)
	l.cond.Broadcast()
}
