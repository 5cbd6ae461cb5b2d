package edge_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/api/problem"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Agents hear of the roots that the hub sends, at once and from the edge's disk, and no more when it takes them back.
func TestFederatedRootsReachAgents(t *testing.T) {
	s := newShop(t)
	root, err := identity.NewRoot("prod-1.example", Key(t), time.Now)
	Check(t, err)
	federated := func(roots ...[]byte) *feedpb.Resource {
		return resource(t, "Zone//dc1", &feedpb.ZoneInfo{Name: "dc1", Region: "r1", Federated: []*feedpb.TrustDomain{{Name: "prod-1.example", Roots: roots}}})
	}
	s.publish(federated(root.Certificate().Raw))
	want := &machinepb.TrustDomain{Name: "prod-1.example", Roots: [][]byte{root.Certificate().Raw}}
	// hears waits until the agent is to trust so many; the edge may learn of two revisions as of one.
	hears := func(count int) {
		t.Helper()
		for len(s.web.heard.Federated) != count {
			s.web.heard, err = s.web.said.Recv()
			Check(t, err)
		}
		if count > 0 && !proto.Equal(s.web.heard.Federated[0], want) {
			t.Errorf("the agent is to trust %v", s.web.heard.Federated)
		}
	}
	hears(1)
	s.publish(federated([]byte("damaged")))
	Eventually(t, "the edge says that it cannot read roots", s.complains(problem.ResourceUnreadable.Reason))
	s.edge.stop()
	s.publish(federated(root.Certificate().Raw))
	s.edge = s.run(s.config(s.dir))
	s.attend(s.edge.addr, s.web, "10.0.0.9")
	hears(1)
	s.publish(zoneInfo(t))
	hears(0)
}
