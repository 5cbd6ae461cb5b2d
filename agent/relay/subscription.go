package relay

import "github.com/isthmus-mesh/isthmus/machine/xds"

// wildcard is the name that stands for all resources of a type.
const wildcard = "*"

// subscription is what Envoy wants of one type, as the delta protocol defines it
// (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return).
type subscription struct {
	all   bool
	names map[string]bool
	// stated are the versions Envoy said it had when its stream began.
	stated map[string]string
}

// newSubscription reads the first request of a type on a stream. One without names asks for all.
func newSubscription(req *xds.DeltaRequest) *subscription {
	s := &subscription{names: map[string]bool{}, stated: req.Versions}
	s.all = len(req.Subscribe) == 0
	s.change(req)
	return s
}

// change applies a request and tells whether it changes what is wanted, or asks for something again.
func (s *subscription) change(req *xds.DeltaRequest) bool {
	for _, name := range req.Subscribe {
		if name == wildcard {
			s.all = true
			continue
		}
		s.names[name] = true
	}
	for _, name := range req.Unsubscribe {
		if name == wildcard {
			s.all = false
		}
		delete(s.names, name)
	}
	return len(req.Subscribe)+len(req.Unsubscribe) > 0
}

// settle notes that what Envoy stated about these resources is history.
func (s *subscription) settle(response *xds.DeltaResponse) {
	for _, r := range response.Resources {
		delete(s.stated, r.Name())
	}
	for _, name := range response.Removed {
		delete(s.stated, name)
	}
}

func (s *subscription) wants(name string) bool { return s.all || s.names[name] }

func (s *subscription) empty() bool { return !s.all && len(s.names) == 0 }

// list is the subscription as a request states it on a new stream.
func (s *subscription) list() []string {
	names := sorted(s.names)
	if s.all && len(names) > 0 {
		return append([]string{wildcard}, names...)
	}
	return names // none means all
}
