package meshtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// timeline counts by second.
type timeline struct {
	began   time.Time
	seconds []second
}

// second is what came in one.
type second struct {
	who   map[string]int // "service/version"
	lost  int
	notes []string
}

// now is the second that goes on.
func (l *timeline) now() *second {
	for index := int(time.Since(l.began) / time.Second); len(l.seconds) <= index; {
		l.seconds = append(l.seconds, second{who: map[string]int{}})
	}
	return &l.seconds[len(l.seconds)-1]
}

func (l *timeline) table(service string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	versions := l.versions(service)
	fmt.Fprintf(w, "second\t%s\tlost\n", strings.Join(versions, "\t"))
	for number, s := range l.seconds {
		fmt.Fprintf(w, "%d\t", number)
		for _, version := range versions {
			fmt.Fprintf(w, "%d\t", s.who[service+"/"+version])
		}
		fmt.Fprintf(w, "%d", s.lost)
		if len(s.notes) > 0 {
			fmt.Fprintf(w, "\t%s", strings.Join(s.notes, "; "))
		}
		fmt.Fprintln(w)
	}
	w.Flush() // into memory
	return text.String()
}

// versions are those of a service that answered, ordered.
func (l *timeline) versions(service string) []string {
	found := map[string]bool{}
	for _, s := range l.seconds {
		for who := range s.who {
			if version, isOf := strings.CutPrefix(who, service+"/"); isOf {
				found[version] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}
