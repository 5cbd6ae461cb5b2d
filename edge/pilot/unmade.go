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
	for other, f := range l.failed {
		if other != typeURL && f.unmade && f.epoch == v.epoch {
			l.miss(typeURL, v)
			return true
		}
	}
	return false
}

// miss enters that the proxy lacks a response. Caller holds mu.
func (l *ledger) miss(typeURL string, v version) {
	f := l.failed[typeURL]
	f.epoch, f.righted, f.unmade = max(f.epoch, v.epoch), 0, true
	l.failed[typeURL] = f
}

// stumbled tells whether something could not be made and was not since.
func (l *ledger) stumbled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.failed {
		if f.unmade {
			return true
		}
	}
	return false
}

// made enters that everything of a type was made anew.
func (l *ledger) made(typeURL string, v version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.failed[typeURL]; f.unmade {
		f.unmade = false
		f.right(v.epoch)
		l.failed[typeURL] = f
	}
}
