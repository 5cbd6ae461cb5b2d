package edge

import (
	"testing"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

const reviewsEntry = "ServiceEntry/shop/reviews"

func workload(name, role string, ports ...*machinepb.Port) *roster.Workload {
	return &roster.Workload{Name: name, Workspace: "shop", Service: "reviews", Role: role, Registration: &machinepb.Workload{Ports: ports}}
}

// bundleOf is a bundle with the resources named.
func bundleOf(names ...string) func(string) *feedpb.Resource {
	return func(name string) *feedpb.Resource {
		for _, n := range names {
			if n == name {
				return &feedpb.Resource{Name: n}
			}
		}
		return nil
	}
}

func TestNewborn(t *testing.T) {
	n := newNewborn()
	http, tcp := &machinepb.Port{Port: 80, Protocol: "http"}, &machinepb.Port{Port: 80, Protocol: "tcp"}
	steps := []struct {
		name           string
		upserts        []*roster.Workload
		gone           []string
		bundle         func(string) *feedpb.Resource
		changed        bool
		added, dropped int
		serves         bool
	}{
		{"Gateway", []*roster.Workload{workload("g", admission.RoleGateway, http)}, nil, bundleOf(), false, 0, 0, false},
		{"NoPort", []*roster.Workload{workload("a", admission.RoleWorkload)}, nil, bundleOf(), false, 0, 0, false},
		{"First", []*roster.Workload{workload("b", admission.RoleWorkload, http)}, nil, bundleOf(), true, 1, 0, true},
		{"Unchanged", []*roster.Workload{workload("b", admission.RoleWorkload, http)}, nil, bundleOf(), false, 0, 0, true},
		{"LaterNameLoses", []*roster.Workload{workload("c", admission.RoleWorkload, tcp)}, nil, bundleOf(), true, 0, 0, true},
		{"EarlierNameWins", []*roster.Workload{workload("a", admission.RoleWorkload, tcp)}, nil, bundleOf(), true, 1, 0, true},
		{"HubHasIt", nil, nil, bundleOf(reviewsEntry), false, 0, 0, false},
		{"HubDropsIt", nil, nil, bundleOf(), false, 1, 0, true},
		{"Leave", nil, []string{"a", "b"}, bundleOf(), true, 0, 0, true},
		{"LastLeaves", nil, []string{"c"}, bundleOf(), true, 0, 1, false},
		{"Stranger", nil, []string{"x"}, bundleOf(), false, 0, 0, false},
	}
	for _, s := range steps {
		changed := n.note(s.upserts, s.gone)
		added, dropped := n.reconcile(s.bundle)
		if changed != s.changed || len(added) != s.added || len(dropped) != s.dropped || n.serves(reviewsEntry) != s.serves {
			t.Errorf("%s: changed %v, added %d, dropped %v, serves %v; want %v, %d, %d, %v",
				s.name, changed, len(added), dropped, n.serves(reviewsEntry), s.changed, s.added, s.dropped, s.serves)
		}
	}
	if len(n.services)+len(n.byMember) != 0 {
		t.Errorf("left over: %v, %v", n.services, n.byMember)
	}
}
