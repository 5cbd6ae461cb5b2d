package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// forbearance is how long a proxy or an istiod may be silent until somebody is told.
const forbearance = 3 * time.Second

// complain tells which proxies do not answer or refuse something, and which istiods do not answer.
func (s *survey) complain(v view) {
	tell := s.cluster.config.Events.Condition
	tell(placeProxies, s.unanswered(v))
	tell(placeRefusals, refusedBy(v))
	tell(placeIstiods, s.unreached())
}

// unanswered names the proxies that are behind for long, and refuse nothing.
func (s *survey) unanswered(v view) *problem.Error {
	now := s.now()
	behind := sets.New(v.behind...)
	maps.DeleteFunc(s.unseen, func(name string, _ time.Time) bool { return !behind.Has(name) })
	var silent []string
	for _, name := range v.behind {
		if s.unseen[name].IsZero() {
			s.unseen[name] = now
		}
		if now.Sub(s.unseen[name]) > forbearance && v.refused[name] == "" {
			silent = append(silent, name)
		}
	}
	if len(silent) == 0 {
		return nil
	}
	slices.Sort(silent)
	return problem.ProxiesUnseen.Because("%s", some(silent))
}

// refusedBy quotes one of the proxies that refuse something.
func refusedBy(v view) *problem.Error {
	if len(v.refused) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(v.refused))
	return problem.ProxyRefuses.Because("%s: %s", some(names), v.refused[names[0]])
}

// some names a few of many.
func some(names []string) string {
	text := strings.Join(names[:min(len(names), named)], ", ")
	if more := len(names) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// unreached says why receipts are not known; nil when they are.
func (s *survey) unreached() *problem.Error {
	if len(s.links) == 0 {
		return problem.IstiodSilent.Because("no pod of namespace %s has the label app=%s", s.account.Namespace, istiodLabel)
	}
	for _, address := range slices.Sorted(maps.Keys(s.links)) {
		if l := s.links[address]; !l.answered && l.ready && s.now().Sub(l.since) > forbearance {
			return problem.IstiodSilent.Because("%s: %v", address, l.err)
		}
	}
	if s.storing() && s.now().Sub(s.began) > 10*forbearance {
		return problem.IstiodSilent.Because("it has not taken in revision %d, which the API server has", s.revision)
	}
	return nil
}
