package inventory

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	viewv1 "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// How far the views may be behind: each object is drawn anew at most once in that time. Receipts come
// by the thousand with every change, so proxies are drawn less often.
const (
	showEvery        = 100 * time.Millisecond
	showProxiesEvery = time.Second
)

// View is where objects of one kind are shown.
type View[T any] interface {
	Set(objects ...T)
	Delete(names ...types.NamespacedName)
}

// Views are the kinds of view.isthmus.dev.
type Views struct {
	Workloads View[*viewv1.Workload]
	Proxies   View[*viewv1.Proxy]
	Services  View[*viewv1.DiscoveredService]
	Revisions View[*viewv1.Revision]
}

// display remembers what has to be drawn anew. Guarded by the Inventory's mutex.
type display struct {
	workloads map[shown]bool
	proxies   map[shown]bool
	services  map[serviceKey]bool
	revisions map[string]bool
}

// shown is a workload, or its proxy, where it is shown.
type shown struct {
	zone string
	types.NamespacedName
}

func shownAs(zone string, w *feedpb.Workload) shown {
	return shown{zone, types.NamespacedName{Namespace: w.Workspace, Name: w.Name}}
}

func newDisplay() *display {
	return &display{workloads: map[shown]bool{}, proxies: map[shown]bool{}, services: map[serviceKey]bool{}, revisions: map[string]bool{}}
}

// workload marks a workload and what shows parts of it.
func (d *display) workload(zone string, w *feedpb.Workload) {
	d.workloads[shownAs(zone, w)] = true
	d.proxies[shownAs(zone, w)] = true
	d.services[keyOf(w)] = true
}

func (d *display) revision(zone string) { d.revisions[zone] = true }

func (i *Inventory) redisplayProxy(zone string, z *zoneRecord, name string) {
	if w := z.workloads[name]; w != nil {
		i.views.proxies[shownAs(zone, w.said)] = true
	}
}

func (i *Inventory) redisplayRefused(zone string, z *zoneRecord, rejections []*feedpb.Rejection) {
	for _, r := range rejections {
		i.redisplayProxy(zone, z, r.Proxy)
	}
}

// Show brings the views up to date. Run does it many times a second.
func (i *Inventory) Show() {
	i.show()
	i.showProxies()
}

func (i *Inventory) show() {
	p := i.pictures()
	v := i.config.Views
	v.Workloads.Delete(p.workloadsGone...)
	v.Workloads.Set(p.workloads...)
	v.Services.Delete(p.servicesGone...)
	v.Services.Set(p.services...)
	v.Revisions.Delete(p.revisionsGone...)
	v.Revisions.Set(p.revisions...)
}

func (i *Inventory) showProxies() {
	proxies, gone := i.proxyPictures()
	i.config.Views.Proxies.Delete(gone...)
	i.config.Views.Proxies.Set(proxies...)
}
