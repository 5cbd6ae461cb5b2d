package pilot

import (
	"context"
	"slices"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// trouble is what a stream has to say about containment: that its proxy rejected a response or that none could be made
// (then there is no nonce), that it came further (no letter), or that it is gone.
type trouble struct {
	stream  *stream
	letter  letter
	message string
	gone    bool
}

// trial finds the culprit among several suspects. All of them are put back, then let in again one at a time, and
// one proxy that rejected them is the judge.
type trial struct {
	judge *stream // nil when there is no trial
	// waiting are put back; current was let in last, empty when none is.
	waiting []string
	current string
	// epoch is what the judge must acknowledge before the next step.
	epoch uint64
}

// forget takes a resource out of the trial: it has another version now.
func (t *trial) forget(name string) {
	t.waiting = slices.DeleteFunc(t.waiting, func(n string) bool { return n == name })
	if t.current == name {
		t.current = ""
	}
}

// righted says that rejections of pushes from the epoch bad on, and before good, have been dealt with.
type righted struct{ bad, good uint64 }

func (r righted) covers(epoch uint64) bool { return r.bad <= epoch && epoch < r.good }

// acknowledged is called by ledgers after every answer.
func (p *Pilot) acknowledged(st *stream, v version, advanced bool) {
	if !advanced {
		return
	}
	p.receipt(st, v)
	if p.judge.Load() == st || st.suffers.Load() {
		p.trouble.add(trouble{stream: st})
	}
}

// receipt tells that a proxy has acknowledged a revision. A proxy's receipts are told in order: ledgers report from
// several goroutines.
func (p *Pilot) receipt(st *stream, v version) {
	st.telling.Lock()
	defer st.telling.Unlock()
	if v.revision > st.told && v.epoch > st.forgotten {
		st.told = v.revision
		p.events.add(event{receipt: st.name, revision: v.revision})
	}
}

// contain handles troubles until the context ends.
func (p *Pilot) contain(ctx context.Context) {
	for {
		troubles := p.trouble.take(ctx)
		if troubles == nil {
			return
		}
		for _, t := range troubles {
			p.handle(t)
		}
	}
}

func (p *Pilot) handle(t trouble) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case t.gone:
		p.relieve(t.stream)
		p.replaceJudge(t.stream)
	case t.letter.typeURL != "":
		p.rejected(t)
	default:
		p.relieve(t.stream)
	}
	p.proceed()
}

// rejected decides what a rejection means. Caller holds mu.
func (p *Pilot) rejected(t trouble) {
	p.log.Warn("proxy rejected configuration", "proxy", t.stream.name, "type", t.letter.typeURL,
		"revision", t.letter.version.revision, "message", t.message)
	if p.righted.covers(t.letter.version.epoch) {
		t.stream.ledger.right(p.righted.good)
		return
	}
	p.prove()
	suspects := p.suspects(t)
	switch len(suspects) {
	case 0:
		p.suffer(t)
	case 1:
		p.convict(suspects[0], t)
	default:
		p.suspend(suspects, t)
	}
}

// convict puts the culprit back to what was served before, and remembers it. Caller holds mu.
func (p *Pilot) convict(e *entry, t trouble) {
	bad := e.changed
	p.trial.forget(e.name)
	p.refuse(e, e.serving.Resource, t.stream.name, t.message)
	instead, may := e.instead()
	e.history = slices.DeleteFunc(e.history, func(c *content) bool { return c == e.serving })
	if !may { // others depend on it, and serving without it would open what it closes
		return
	}
	p.restore(map[*entry]*content{e: instead}, bad, t.stream)
}

// suspend puts all suspects back and opens their trial. Caller holds mu.
func (p *Pilot) suspend(suspects []*entry, t trouble) {
	back, bad := map[*entry]*content{}, p.epoch
	for _, e := range suspects {
		instead, may := e.instead()
		if !may {
			continue
		}
		back[e] = instead
		bad = min(bad, e.changed)
		if !slices.Contains(p.trial.waiting, e.name) {
			p.trial.waiting = append(p.trial.waiting, e.name)
		}
	}
	if len(back) == 0 {
		p.suffer(t)
		return
	}
	p.log.Info("finding the resource that was rejected", "suspects", p.trial.waiting, "proxy", t.stream.name)
	p.setJudge(t.stream)
	p.restore(back, bad, t.stream)
}

// restore serves other contents, and ends the failure of the proxy that rejected the former. Caller holds mu.
func (p *Pilot) restore(back map[*entry]*content, bad uint64, st *stream) {
	changed := sets.New[model.ConfigKey]()
	for e, c := range back {
		changed.Merge(p.serveContent(e, c))
	}
	p.settle(changed)
	p.righted = righted{bad, p.epoch + 1}
	p.push(changed, model.ConfigUpdate)
	p.trial.epoch = p.epoch
	st.ledger.right(p.epoch)
}

// proceed takes the trial's next step if the judge is ready. Caller holds mu.
func (p *Pilot) proceed() {
	for p.trial.judge != nil && p.trial.judge.ledger.acknowledged().epoch >= p.trial.epoch {
		p.trial.current = ""
		if len(p.trial.waiting) == 0 {
			p.setJudge(nil)
			p.push(nil, model.ConfigUpdate) // the revision is complete now
			return
		}
		name := p.trial.waiting[0]
		p.trial.waiting, p.trial.current = p.trial.waiting[1:], name
		p.admitAgain([]string{name})
	}
}

// admitAgain serves what the hub wants of the resources. Caller holds mu.
func (p *Pilot) admitAgain(names []string) {
	changed := sets.New[model.ConfigKey]()
	for _, name := range names {
		if e := p.resources[name]; e != nil {
			changed.Merge(p.serveContent(e, e.wanted))
		}
	}
	p.settle(changed)
	p.push(changed, model.ConfigUpdate)
	p.trial.epoch = p.epoch
}

// replaceJudge lets a like proxy go on when the judge went away; without one the trial ends and everything is
// let in: whoever rejects it opens another. Caller holds mu.
func (p *Pilot) replaceJudge(gone *stream) {
	if p.trial.judge != gone {
		return
	}
	if other := p.streams.like(gone); other != nil {
		p.setJudge(other)
		return
	}
	p.closeTrial()
}

// closeTrial lets everything in that waits. Caller holds mu.
func (p *Pilot) closeTrial() {
	waiting := p.trial.waiting
	p.setJudge(nil)
	p.trial = trial{}
	p.admitAgain(waiting)
}

func (p *Pilot) setJudge(st *stream) {
	p.trial.judge = st
	p.judge.Store(st)
}

// settledRevision is the revision that proxies have who acknowledge the next push: before those on trial.
// Caller holds mu.
func (p *Pilot) settledRevision() int64 {
	revision := p.revision
	for _, name := range append(p.trial.waiting[:len(p.trial.waiting):len(p.trial.waiting)], p.trial.current) {
		if e := p.resources[name]; e != nil {
			revision = min(revision, e.revision-1)
		}
	}
	return revision
}

// suffer reports a fault that is the proxy's own: nothing it was sent is new to its like. Caller holds mu.
func (p *Pilot) suffer(t trouble) {
	t.stream.suffers.Store(true)
	p.events.add(event{rejected: &feedpb.Rejection{Proxy: t.stream.name, Message: t.message}})
	if p.trial.judge == t.stream {
		p.closeTrial()
	}
}

// relieve takes that back: the proxy came further, or is gone.
func (p *Pilot) relieve(st *stream) {
	if st.suffers.Swap(false) {
		p.events.add(event{rejected: &feedpb.Rejection{Proxy: st.name, Resolved: true}})
	}
}

// refuse remembers that a version is refused, and what is served instead, and tells. Caller holds mu.
func (p *Pilot) refuse(e *entry, r *feedpb.Resource, proxy, message string) {
	one := &refusal{Rejection: &feedpb.Rejection{
		Resource: e.name, Version: r.GetVersion(), Origins: r.GetOrigins(), Proxy: proxy, Message: message,
	}}
	good := e.serving // a resource that cannot be read leaves what is served
	if former, may := e.instead(); proxy != "" && may {
		good = former
	}
	if good != nil {
		one.Good = good.Resource
	}
	if was := p.refusals.get(e.name); was != nil && was.Rejection.Version != one.Rejection.Version {
		one.Rejection = was.Rejection // what stood in for it is refused too: only that changes
	} else {
		p.events.add(event{rejected: one.Rejection})
	}
	if err := p.refusals.put(one); err != nil {
		p.log.Error("a refused resource is not on disk: after a restart it would be served again", "resource", e.name, "error", err)
	}
	p.log.Warn("resource refused", "resource", e.name, "version", r.GetVersion(), "proxy", proxy, "message", message)
}

// resolve forgets a refusal, and tells. Caller holds mu.
func (p *Pilot) resolve(e *entry, r *refusal) {
	if err := p.refusals.drop(e.name); err != nil {
		p.log.Error("a resolved refusal is still on disk", "resource", e.name, "error", err)
	}
	was := r.Rejection
	p.events.add(event{rejected: &feedpb.Rejection{
		Resource: was.Resource, Version: was.Version, Origins: was.Origins, Proxy: was.Proxy, Resolved: true,
	}})
}
