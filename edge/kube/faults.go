package kube

import (
	"errors"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// faults are what is wrong with the cluster as a whole, by place, each with those that suffer. A place
// is mended when nobody suffers any more.
type faults struct {
	tell func(place string, err *problem.Error)

	mu     sync.Mutex
	places map[string]*place
}

// place has one sufferer whose words are told, so that a thousand of them are no thousand reports.
type place struct {
	sufferers map[string]*problem.Error
	speaker   string
}

// Places of conditions.
const (
	placeCluster = "Cluster"
	placeServed  = "Served/" // and the kind
	placeAccess  = "Access/" // and the kind

	placeIstiods  = "Istiod"
	placeProxies  = "Proxies"
	placeRefusals = "Refusals"
)

// note takes how a request for a kind went. A kind that is not needed may be missing or forbidden.
func (f *faults) note(kind, who string, err error, needed bool) {
	var away, served, access *problem.Error
	switch {
	case err == nil:
	case apierrors.IsNotFound(err) && needed:
		served = problem.KindNotServed.Because("%s: %v", kind, err)
	case isAccess(err) && needed:
		access = problem.ClusterForbids.Because("%s: %v", kind, err)
	case isAway(err):
		away = problem.ClusterAway.Because("%v", err)
	}
	f.set(placeCluster, kind+"/"+who, away)
	f.set(placeServed+kind, who, served)
	f.set(placeAccess+kind, who, access)
}

func (f *faults) set(where, who string, err *problem.Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.places[where]
	if p == nil && err == nil {
		return
	}
	if p == nil {
		p = &place{sufferers: map[string]*problem.Error{}}
		f.places[where] = p
	}
	if err != nil {
		p.sufferers[who] = err
	} else {
		delete(p.sufferers, who)
	}
	f.speak(where, p)
}

// speak chooses another speaker if the last one suffers no more. Caller holds mu, which orders what is told.
func (f *faults) speak(where string, p *place) {
	if p.sufferers[p.speaker] != nil {
		return
	}
	for who, err := range p.sufferers {
		p.speaker = who
		f.tell(where, err)
		return
	}
	delete(f.places, where)
	f.tell(where, nil)
}

// isAway is whether an error says that nobody sensible answered.
func isAway(err error) bool {
	var status apierrors.APIStatus
	return !errors.As(err, &status) || apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err)
}

// isAccess is whether an error says that we may not, rather than that the object may not be: the words
// are those of the API server's authorizers.
func isAccess(err error) bool {
	if apierrors.IsUnauthorized(err) {
		return true
	}
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), `User "`) && strings.Contains(err.Error(), " cannot ")
}
