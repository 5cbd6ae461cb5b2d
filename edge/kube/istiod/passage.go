package istiod

// Passage follows what was in store when a mark was written to the proxies of one istiod. A proxy gets pushes one
// after another: when it works on a push after the first one it was seen with, that first one was sent to its end.
type Passage struct {
	from Push
	// behind are the proxies that were connected when the mark arrived, until everything was sent to them: with the
	// push they were first seen with, from or later, or 0. Who connects later begins with that push or a newer one.
	behind map[string]Push
}

// NewPassage begins with the push that brought the mark, and the proxies that were connected afterwards.
func NewPassage(from Push, connected map[string]Proxy) *Passage {
	p := &Passage{from: from, behind: make(map[string]Push, len(connected))}
	for id := range connected {
		p.behind[id] = 0
	}
	return p
}

// Saw takes the push that a proxy works on.
func (p *Passage) Saw(proxy string, at Push) {
	first, behind := p.behind[proxy]
	switch {
	case !behind || at < p.from:
	case first == 0:
		p.behind[proxy] = at
	case at > first:
		delete(p.behind, proxy)
	}
}

// Sent is whether everything was sent to a proxy.
func (p *Passage) Sent(proxy string) bool {
	_, behind := p.behind[proxy]
	return !behind
}

// Needs is whether somebody waits for a push after the newest one.
func (p *Passage) Needs(newest Push) bool {
	for _, first := range p.behind {
		if first > 0 && first >= newest {
			return true
		}
	}
	return false
}

// Keep drops the proxies that are not connected any more: they begin again.
func (p *Passage) Keep(connected map[string]Proxy) {
	for id := range p.behind {
		if _, there := connected[id]; !there {
			delete(p.behind, id)
		}
	}
}
