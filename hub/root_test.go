package hub

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRootIsMadeOnceAndKeptPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	first, err := openRoot(dir, "example.org", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	second, err := openRoot(dir, "example.org", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if !first.Certificate().Equal(second.Certificate()) {
		t.Error("the second start made another root")
	}
	for _, name := range []string{"key.pem", "certificate.pem"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode().Perm())
		}
	}
}

func TestRootWithoutKeyIsNotReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	if _, err := openRoot(dir, "example.org", time.Now); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := openRoot(dir, "example.org", time.Now); err == nil {
		t.Error("a lost key went unnoticed: a new root would lock every edge out")
	}
}

func TestTrustDomainCannotChange(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "root")
	if _, err := openRoot(dir, "example.org", time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := openRoot(dir, "example.com", time.Now); err == nil {
		t.Error("another trust domain went unnoticed: every edge would be refused")
	}
}

func TestHubCertificateIsRenewedAtHalfItsLife(t *testing.T) {
	now := time.Now()
	clock := func() time.Time { return now }
	root, err := openRoot(filepath.Join(t.TempDir(), "root"), "example.org", clock)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCertificate(root, 10*time.Hour, []string{"hub.example.org", "10.0.0.1"}, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := c.Certificate()
	if first.Leaf.DNSNames[0] != "hub.example.org" || first.Leaf.IPAddresses[0].String() != "10.0.0.1" {
		t.Errorf("valid for %v and %v", first.Leaf.DNSNames, first.Leaf.IPAddresses)
	}
	now = now.Add(4 * time.Hour)
	if c.Certificate() != first {
		t.Error("renewed too early")
	}
	now = now.Add(2 * time.Hour)
	if c.Certificate() == first {
		t.Error("not renewed")
	}
}
