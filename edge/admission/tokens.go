package admission

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// tokenPrefix begins the names of resources that are tokens: "JoinToken//NAME".
const tokenPrefix = "JoinToken/"

// patience is how long a newcomer waits for a token that is still on its way from the hub.
const patience = 2 * time.Second

// Tokens are the zone's copies of workloads' join tokens. Methods may be called from any goroutine.
type Tokens struct {
	mu     sync.Mutex
	byName map[string]*feedpb.Token
	news   chan struct{} // closed and replaced at each change
}

// NewTokens knows no token.
func NewTokens() *Tokens {
	return &Tokens{byName: map[string]*feedpb.Token{}, news: make(chan struct{})}
}

// IsToken tells whether a resource of this name is a token.
func IsToken(resource string) bool { return strings.HasPrefix(resource, tokenPrefix) }

// Put takes a token in, from its resource.
func (t *Tokens) Put(r *feedpb.Resource) error {
	token := &feedpb.Token{}
	if err := r.Body.UnmarshalTo(token); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byName[token.Name] = token
	close(t.news)
	t.news = make(chan struct{})
	return nil
}

// Remove forgets the token of a resource.
func (t *Tokens) Remove(resource string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byName, resource[strings.LastIndexByte(resource, '/')+1:])
}

// find returns a token, waiting a moment for one that was made just now. It returns nil for none.
func (t *Tokens) find(ctx context.Context, name string) *feedpb.Token {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		t.mu.Lock()
		token, news := t.byName[name], t.news
		t.mu.Unlock()
		if token != nil {
			return token
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}
