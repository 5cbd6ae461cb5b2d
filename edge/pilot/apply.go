package pilot

import (
	"errors"
	"fmt"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// entry is a resource and its versions.
type entry struct {
	name string
	// wanted is what the hub sent last; serving is what proxies get, nil for nothing.
	wanted, serving *content
	// accepted is the last content that all proxies concerned acknowledged.
	accepted *content
	// history is what was served before and not refused, newest first.
	history []*content
	// changed is the epoch since which serving is served; revision the one that brought wanted.
	changed  uint64
	revision int64
}

// Apply makes a revision of the zone's configuration the current one: all upserts and removals at
// once. Resources other than Istio objects and feedpb.Secret are none of its business and refused.
// A resource that cannot be read or is invalid keeps its last good version and is reported to
// Events.Rejected; the others are applied. The error joins what was reported, for a log.
func (p *Pilot) Apply(revision int64, upserts []*feedpb.Resource, removed []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if revision < p.revision { // the hub was restored from a backup
		p.streams.forgetReceipts(p.epoch)
	}
	p.revision = revision
	p.prove()
	changed := sets.New[model.ConfigKey]()
	for _, name := range removed {
		changed.Merge(p.remove(name))
	}
	var problems []error
	for _, r := range upserts {
		keys, err := p.upsert(r)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", r.GetName(), err))
		}
		changed.Merge(keys)
	}
	p.settle(changed)
	p.push(changed, model.ConfigUpdate)
	p.xds.CachesSynced() // from now on there is something to serve
	return errors.Join(problems...)
}

// settle brings what depends on the objects up to date, and adds it to what changed. Caller holds mu.
func (p *Pilot) settle(changed sets.Set[model.ConfigKey]) {
	virtual, scope := false, false
	for k := range changed {
		virtual = virtual || k.Kind == kind.VirtualService
		scope = scope || k.Kind == kind.Sidecar || k.Kind == kind.ServiceEntry
	}
	if virtual {
		p.store.virtualServices.settle()
	}
	if scope {
		changed.Merge(p.renderExplicit())
	}
}

// maxHistory is how many contents are worth keeping: each is younger than the last that all proxies accepted.
const maxHistory = 3

// supersede puts what is served into history, for another version is about to be.
func (e *entry) supersede() {
	if len(e.history) > 0 && e.history[0] == e.serving {
		return
	}
	if e.proven() {
		e.history = nil
	}
	e.history = append([]*content{e.serving}, e.history[:min(len(e.history), maxHistory-1)]...)
}

// prove notes what all proxies concerned have acknowledged. Caller holds mu.
func (p *Pilot) prove() {
	slowest := p.streams.slowest()
	for _, e := range p.resources {
		if e.serving != nil && !e.proven() && e.acknowledged(slowest) {
			e.accepted = e.serving
		}
	}
}

// acknowledged tells whether proxies that get something of the resource are there, and all have what is served.
func (e *entry) acknowledged(slowest map[Role]uint64) bool {
	some := false
	for role, epoch := range slowest {
		if !e.serving.concerns(role) {
			continue
		}
		if epoch < e.changed {
			return false
		}
		some = true
	}
	return some
}

// upsert takes one resource in. Caller holds mu.
func (p *Pilot) upsert(r *feedpb.Resource) (sets.Set[model.ConfigKey], error) {
	e := p.resources[r.GetName()]
	if e == nil {
		e = &entry{name: r.GetName()}
		p.resources[e.name] = e
	}
	refusal := p.refusals.get(e.name)
	if refusal != nil && refusal.Rejection.GetVersion() == r.GetVersion() {
		return p.serveInstead(e, refusal), nil
	}
	if refusal != nil {
		p.resolve(e, refusal)
	}
	c, err := read(r)
	if err != nil {
		p.refuse(e, r, "", err.Error())
		return nil, err
	}
	e.wanted, e.revision = c, p.revision
	p.trial.forget(e.name)
	if e.serving != nil && e.serving.GetVersion() != c.GetVersion() {
		e.supersede()
	}
	return p.serveContent(e, c), nil
}

// serveInstead serves the last good content of a resource whose wanted version is known to be refused.
func (p *Pilot) serveInstead(e *entry, r *refusal) sets.Set[model.ConfigKey] {
	if e.serving != nil || r.Good == nil {
		return nil
	}
	good, err := read(r.Good)
	if err != nil {
		p.log.Error("last good version cannot be read", "resource", e.name, "error", err)
		return nil
	}
	return p.serveContent(e, good)
}

// remove takes one resource away. Caller holds mu.
func (p *Pilot) remove(name string) sets.Set[model.ConfigKey] {
	e := p.resources[name]
	if e == nil {
		return nil
	}
	if r := p.refusals.get(name); r != nil {
		p.resolve(e, r)
	}
	p.trial.forget(name)
	delete(p.resources, name)
	return p.serveContent(e, nil)
}

// serveContent changes what proxies get of a resource from the next push on; nil means nothing. It returns
// what the push must name. Caller holds mu.
func (p *Pilot) serveContent(e *entry, c *content) sets.Set[model.ConfigKey] {
	before := e.serving
	if before != nil && c != nil && before.GetVersion() == c.GetVersion() {
		return nil
	}
	e.serving, e.changed = c, p.epoch+1
	if c != nil {
		p.install(c)
	} else if before != nil {
		p.uninstall(before)
	}
	return changes(before, c)
}

func (p *Pilot) install(c *content) {
	if c.secret != nil {
		p.secrets.put(c.GetName(), c.secret)
		return
	}
	p.store.put(*c.config)
	if _, ok := c.config.Spec.(*networking.ServiceEntry); ok {
		p.registry.putService(c.config)
	}
}

func (p *Pilot) uninstall(c *content) {
	if c.secret != nil {
		p.secrets.drop(c.GetName())
		return
	}
	p.store.drop(c.config.GroupVersionKind, c.config.Namespace, c.config.Name)
	if c.config.GroupVersionKind == gvk.ServiceEntry {
		p.registry.dropService(c.config.Namespace, c.config.Name)
	}
}
