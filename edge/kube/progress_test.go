package kube

import "testing"

func TestProgress(t *testing.T) {
	var p progress
	at := func(want int64) {
		t.Helper()
		p.advance()
		if p.applied != want {
			t.Errorf("applied %d, want %d", p.applied, want)
		}
	}
	p.take(5, []string{"a", "b"})
	at(0)
	p.take(7, []string{"a", "c"}) // a waits since 5
	p.settle("b")
	at(0)
	p.settle("a")
	at(5)
	p.take(8, nil)
	at(5)
	p.settle("c")
	p.settle("c")
	at(8)
	p.take(9, []string{"a"})
	p.take(3, []string{"b"}) // the hub counts anew
	p.settle("b")
	at(0)
	p.settle("a")
	at(3)
}
