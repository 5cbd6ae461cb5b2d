package kube

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// send applies a resource as a revision of its own; without a body it is removed.
func (c *court) send(revision int64, name, version string, body proto.Message) {
	c.t.Helper()
	var upserts []*feedpb.Resource
	var removed []string
	if body == nil {
		removed = []string{name}
	} else {
		upserts = []*feedpb.Resource{c.resource(name, version, body)}
	}
	if err := c.Apply(revision, upserts, removed); err != nil {
		c.t.Fatal(err)
	}
}

func (c *court) resource(name, version string, body proto.Message) *feedpb.Resource {
	c.t.Helper()
	packed, err := anypb.New(body)
	if err != nil {
		c.t.Fatal(err)
	}
	return &feedpb.Resource{Name: name, Version: version, Body: packed}
}

func leadsTo(host, subset string) *networking.VirtualService {
	to := &networking.Destination{Host: host, Subset: subset}
	return &networking.VirtualService{Hosts: []string{"h"}, Http: []*networking.HTTPRoute{{Route: []*networking.HTTPRouteDestination{{Destination: to}}}}}
}

func subsets(host string, names ...string) *networking.DestinationRule {
	rule := &networking.DestinationRule{Host: host}
	for _, name := range names {
		rule.Subsets = append(rule.Subsets, &networking.Subset{Name: name})
	}
	return rule
}

// subsetsNow are those of the rule that is in the cluster.
func (c *court) subsetsNow() string {
	c.t.Helper()
	w := c.wantedNow("DestinationRule/x/h")
	if w == nil {
		return "no rule"
	}
	message, err := w.Body.UnmarshalNew()
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, s := range message.(*networking.DestinationRule).Subsets {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

// A route that is put back still leads somewhere: what it needs stays, what it does not need goes, also over a restart.
func TestKeepDestinations(t *testing.T) {
	c := newCourt(t, "h 2", "h 4")
	c.send(1, "DestinationRule/x/h", "1", subsets("h", "a", "idle"))
	c.send(2, "ServiceEntry/x/e", "1", &networking.ServiceEntry{Hosts: []string{"h"}})
	c.send(3, "ServiceEntry/x/o", "1", &networking.ServiceEntry{Hosts: []string{"other"}})
	c.send(4, "VirtualService/x/h", "1", leadsTo("h", "a"))
	c.pass(nil)
	c.send(5, "VirtualService/x/h", "2", leadsTo("h", "b"))
	c.send(6, "DestinationRule/x/h", "2", subsets("h", "b"))
	c.send(7, "ServiceEntry/x/e", "", nil)
	c.send(8, "ServiceEntry/x/o", "", nil)
	c.pass(nil)
	holds := func() {
		t.Helper()
		if got := c.subsetsNow(); got != "b a" || c.wantedNow("ServiceEntry/x/e") == nil || c.wantedNow("ServiceEntry/x/o") != nil {
			t.Errorf("subsets %q; there is %q", got, c.there())
		}
	}
	holds()
	c.restart()
	c.send(8, "VirtualService/x/h", "2", leadsTo("h", "b"))
	if c.told["VirtualService/x/h"] == nil {
		t.Error("a restarted edge does not say what is refused")
	}
	c.send(9, "DestinationRule/x/h", "2", subsets("h", "b"))
	holds()
	c.send(10, "DestinationRule/x/h", "3", subsets("h", "c"))
	if got := c.subsetsNow(); got != "c a" {
		t.Errorf("subsets %q after another change", got)
	}
	c.pass(nil)
	c.restart()
	if err := c.Apply(10, []*feedpb.Resource{
		c.resource("VirtualService/x/h", "2", leadsTo("h", "b")), c.resource("DestinationRule/x/h", "5", subsets("h", "c")),
	}, nil); err != nil {
		t.Fatal(err)
	}
	if got := c.subsetsNow(); got != "c a" || len(c.contained.changed) > 0 {
		t.Errorf("subsets %q after another restart, suspects %v", got, c.contained.changed)
	}
	c.pass(nil)
	c.send(11, "VirtualService/x/h", "4", leadsTo("h", "d")) // another try, which is refused too
	c.send(12, "DestinationRule/x/h", "4", subsets("h", "d"))
	c.pass(nil)
	if got := c.subsetsNow(); got != "d a" {
		t.Errorf("subsets %q after a second change that is refused", got)
	}
	c.send(13, "DestinationRule/x/h", "3", subsets("h", "c"))
	c.send(14, "VirtualService/x/h", "3", leadsTo("h", "c"))
	c.pass(nil)
	if got := c.subsetsNow(); got != "c" || c.wantedNow("ServiceEntry/x/e") != nil {
		t.Errorf("subsets %q when all is well; there is %q", got, c.there())
	}
}
