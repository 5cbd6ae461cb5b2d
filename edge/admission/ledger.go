package admission

import (
	"sync"

	"github.com/isthmus-mesh/isthmus/edge/journal"
)

// ledger says which key has used which token, on disk.
type ledger struct {
	mu      sync.Mutex
	used    map[string]string // key by token
	journal *journal.Journal
}

func newLedger(j *journal.Journal) *ledger {
	l := &ledger{used: map[string]string{}, journal: j}
	for token, key := range j.All() {
		l.used[token] = string(key)
	}
	return l
}

// claim gives a token to the first key that asks. It says whether the token is the key's, and whether
// this call made it so; err is why the claim is not on disk.
func (l *ledger) claim(token, key string) (ours, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if owner, ok := l.used[token]; ok {
		return owner == key, false, nil
	}
	l.used[token] = key
	return true, true, l.journal.Write(map[string][]byte{token: []byte(key)})
}

// release takes a fresh claim back.
func (l *ledger) release(token string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.used, token)
	return l.journal.Write(map[string][]byte{token: nil})
}
