package istiod

import "testing"

// A proxy has what a mark was written after only when it was seen with that push or a later one, and then with
// another: while it is seen with the first one, that may be on its way.
func TestPassage(t *testing.T) {
	connected := map[string]Proxy{"a.x": {}, "b.x": {}}
	for name, c := range map[string]struct {
		seen  []Push
		sent  bool
		needs bool // a push after the mark's, 7
	}{
		"NotSeen":          {nil, false, false},
		"Before":           {[]Push{5, 6}, false, false},
		"WithIt":           {[]Push{6, 7, 7}, false, true},
		"Later":            {[]Push{9}, false, true}, // it has skipped some
		"WithItAndAnother": {[]Push{7, 8}, true, false},
		"LaterAndAnother":  {[]Push{9, 10}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPassage(7, connected)
			for _, at := range c.seen {
				p.Saw("a.x", at)
			}
			if p.Sent("a.x") != c.sent || p.Sent("b.x") || p.Needs(7) != c.needs {
				t.Errorf("sent %v, to the other %v, needs another push %v", p.Sent("a.x"), p.Sent("b.x"), p.Needs(7))
			}
			if p.Needs(100) {
				t.Error("a newer push is under way, and it needs another one")
			}
		})
	}
}

// Who connects after the mark arrived begins with it.
func TestPassageOfThoseWhoComeLater(t *testing.T) {
	p := NewPassage(7, map[string]Proxy{"a.x": {}})
	if !p.Sent("new.x") {
		t.Error("a new connection is waited for")
	}
	p.Keep(map[string]Proxy{"new.x": {}})
	if !p.Sent("a.x") {
		t.Error("a proxy that went, and so begins again, is waited for as the old one")
	}
}

func TestParsePush(t *testing.T) {
	for text, want := range map[string]Push{
		"": 0, "none": 0, "2026-11-27T01:00:00Z/12": 12, "2026-11-27T01:00:00+01:00/3": 3,
	} {
		if got := parsePush(text); got != want {
			t.Errorf("%q is push %d, want %d", text, got, want)
		}
	}
}

func TestParseMark(t *testing.T) {
	mark := Mark{"A-B", 17}
	if got, ok := parseMark(mark.String()); !ok || got != mark {
		t.Errorf("%v became %v", mark, got)
	}
	for _, text := range []string{"", "default", "isthmus-mark-", "isthmus-mark-x", "isthmus-mark-x-y", "other-1"} {
		if got, ok := parseMark(text); ok {
			t.Errorf("%q is mark %v", text, got)
		}
	}
}
