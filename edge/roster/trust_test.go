package roster_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Agents hear of federated trust domains when they come, and when these change.
func TestAgentsHearWhomToTrust(t *testing.T) {
	z := newZone(t)
	a := z.attend(z.Workload("shop", "reviews"), registration())
	if len(a.first.Federated) > 0 {
		t.Errorf("trusts %v", a.first.Federated)
	}
	prod := &machinepb.TrustDomain{Name: "prod-1.example", Roots: [][]byte{{1, 2, 3}}}
	z.mu.Lock()
	z.federated = []*machinepb.TrustDomain{prod}
	z.mu.Unlock()
	z.Announce()
	if told := a.hear().Federated; len(told) != 1 || !proto.Equal(told[0], prod) {
		t.Errorf("trusts %v", told)
	}
}
