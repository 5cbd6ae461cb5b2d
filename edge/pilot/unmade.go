package pilot

// stumble enters that a response of a version could not be made. What is made next must be whole, or the ledger
// would not know that everything of it was sent.
func (l *ledger) stumble(typeURL string, v version) letter {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.miss(typeURL, v)
	return letter{typeURL: typeURL, version: v}
}

// withhold tells whether another response of the version could not be made, and enters that this one was not.
func (l *ledger) withhold(typeURL string, v version) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for other, epoch := range l.unmade {
		if other != typeURL && epoch == v.epoch {
			l.miss(typeURL, v)
			return true
		}
	}
	return false
}

// miss enters that the proxy lacks a response. Caller holds mu.
func (l *ledger) miss(typeURL string, v version) {
	f := l.failed[typeURL]
	f.epoch, f.righted = max(f.epoch, v.epoch), 0
	l.failed[typeURL], l.unmade[typeURL] = f, v.epoch
}

// stumbled tells whether something could not be made and was not since.
func (l *ledger) stumbled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.unmade) > 0
}

// made enters that everything of a type was made anew.
func (l *ledger) made(typeURL string, v version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, missing := l.unmade[typeURL]; !missing {
		return
	}
	delete(l.unmade, typeURL)
	f := l.failed[typeURL]
	f.right(v.epoch)
	l.failed[typeURL] = f
}
