package kube

// progress is which revisions are wholly applied. Caller holds the Cluster's mu.
type progress struct {
	applied int64
	// open are the revisions taken in and not wholly applied, oldest first.
	open []int64
	// pending are resources not as wanted yet, with the oldest revision that waits for them.
	pending map[string]int64
	waiting map[int64]int // how many of them, by revision
}

// take notes a revision and what it changed.
func (p *progress) take(revision int64, names []string) {
	if p.pending == nil || revision < p.newest() { // the hub was restored from a backup: it counts anew
		p.restart(revision)
	}
	if len(p.open) == 0 || p.open[len(p.open)-1] != revision {
		p.open = append(p.open, revision)
	}
	for _, name := range names {
		if _, waits := p.pending[name]; !waits {
			p.pending[name] = revision
			p.waiting[revision]++
		}
	}
}

func (p *progress) newest() int64 {
	if len(p.open) > 0 {
		return p.open[len(p.open)-1]
	}
	return p.applied
}

// whole is whether nothing is waited for.
func (p *progress) whole() bool { return len(p.open) == 0 }

// restart lets everything that waits wait for a revision of the new count.
func (p *progress) restart(revision int64) {
	old := p.pending
	*p = progress{pending: map[string]int64{}, waiting: map[int64]int{}, open: []int64{revision}}
	for name := range old {
		p.pending[name] = revision
		p.waiting[revision]++
	}
}

// settle notes that a resource is as wanted, or refused.
func (p *progress) settle(name string) {
	if revision, waits := p.pending[name]; waits {
		delete(p.pending, name)
		if p.waiting[revision]--; p.waiting[revision] == 0 {
			delete(p.waiting, revision)
		}
	}
}

// advance tells the newest revision that nothing waits for, and whether that is news.
func (p *progress) advance() (revision int64, news bool) {
	before := p.applied
	for len(p.open) > 0 && p.waiting[p.open[0]] == 0 {
		p.applied, p.open = p.open[0], p.open[1:]
	}
	return p.applied, p.applied != before
}
