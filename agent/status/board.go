package status

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// Warning is something that is wrong now.
type Warning struct {
	Code  string    `json:"code"`
	Title string    `json:"title"`
	Text  string    `json:"text"`
	Do    string    `json:"remedy"`
	Since time.Time `json:"since"`
}

// Board holds the warnings of the moment.
type Board struct {
	now func() time.Time

	mu       sync.Mutex
	warnings map[string]Warning
}

// NewBoard makes an empty board.
func NewBoard(now func() time.Time) *Board {
	return &Board{now: now, warnings: map[string]Warning{}}
}

// Set puts up a warning under a key, in place of what was there. It keeps its time while its code stays.
func (b *Board) Set(key string, p problem.Problem, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := Warning{Code: p.Code, Title: p.Meaning, Text: text, Do: p.Remedy, Since: b.now()}
	if old, ok := b.warnings[key]; ok && old.Code == w.Code {
		w.Since = old.Since
	}
	b.warnings[key] = w
}

// Clear takes a warning down.
func (b *Board) Clear(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.warnings, key)
}

// Put sets a warning if text says something and clears it if not.
func (b *Board) Put(key string, p problem.Problem, text string) {
	if text == "" {
		b.Clear(key)
		return
	}
	b.Set(key, p, text)
}

// Warnings lists what is wrong, by code.
func (b *Board) Warnings() []Warning {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]Warning, 0, len(b.warnings))
	for _, w := range b.warnings {
		list = append(list, w)
	}
	slices.SortFunc(list, func(x, y Warning) int { return cmp.Or(cmp.Compare(x.Code, y.Code), cmp.Compare(x.Text, y.Text)) })
	return list
}
