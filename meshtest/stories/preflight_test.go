package stories_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/meshtest"
)

// preflight gives a zone a second gateway, behind a firewall that lets nobody in. The other zone's edge finds
// out and says which rule is missing, until the gateway is taken back.
func (s *twoZones) preflight(t *testing.T) {
	s.allOpen(t)
	closed := s.mesh.Machine("closed")
	if _, err := closed.Run(t.Context(), "", "nft", "add table inet wall; add chain inet wall in { type filter hook input priority 0; }; add rule inet wall in tcp dport 15443 drop"); err != nil {
		t.Fatal(err)
	}
	s.entered("dc1", s.gateways["dc1"].IPv4, closed.IPv4)
	want := fmt.Sprintf("from zone dc2 to zone dc1 at %s:15443: no answer: a firewall rule is probably missing; allow TCP from zone dc2 to %[1]s port 15443", closed.IPv4)
	s.mesh.Says(problem.PathBlocked.Code, want)
	s.entered("dc1", s.gateways["dc1"].IPv4)
	s.allOpen(t)
}

// allOpen waits until nothing is said of closed ways.
func (s *twoZones) allOpen(t *testing.T) {
	t.Helper()
	meshtest.Eventually(t, "isthmus status says nothing of closed ways", func() error {
		out, _ := s.mesh.TryIsthmus("status") // fails while anything needs attention
		if strings.Contains(out, problem.PathBlocked.Code) {
			return errors.New(out)
		}
		return nil
	})
}
