package sds

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

func TestSystemRoots(t *testing.T) {
	key, roots := authority(t)
	text := identity.EncodeCertificates(roots)
	file := filepath.Join(t.TempDir(), "roots.pem")
	t.Setenv(SystemRootsFile, file)
	s := New(slog.New(slog.DiscardHandler))
	set := func() {
		t.Helper()
		if err := s.Set(key, roots, identity.TrustDomain{Name: "isthmus.local", Roots: roots}); err != nil {
			t.Fatal(err)
		}
	}
	if set(); len(s.Names()) != 2 {
		t.Errorf("%v is served without a file", s.Names())
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	set()
	stream := dial(t, s)
	send(t, stream, &xds.Request{Names: []string{SystemRootsName}})
	secret, _ := receive(t, stream)
	if secret.Name != SystemRootsName || string(secret.GetValidationContext().GetTrustedCa().GetInlineBytes()) != string(text) {
		t.Errorf("%v", secret)
	}
}
