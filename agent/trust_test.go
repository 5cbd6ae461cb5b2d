package agent

import (
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// What an edge says of federated trust domains is there after a restart without an edge; what cannot be read is left out.
func TestTrustIsRemembered(t *testing.T) {
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.NewRoot("prod-1.example", key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	told := federated([]*machinepb.TrustDomain{
		{Name: "prod-1.example", Roots: [][]byte{root.Certificate().Raw}}, {Name: "broken.example", Roots: [][]byte{{1}}}, {Name: "empty.example"},
	})
	file := filepath.Join(t.TempDir(), "member.json")
	if err := writeJSON(file, membership{Federated: told}); err != nil {
		t.Fatal(err)
	}
	want := identity.TrustDomain{Name: "prod-1.example", Roots: []*x509.Certificate{root.Certificate()}}
	if got := readable(loadMembership(file).Federated, slog.New(slog.DiscardHandler)); len(got) != 1 || !got[0].Equal(want) {
		t.Errorf("trusts %v", got)
	}
}
