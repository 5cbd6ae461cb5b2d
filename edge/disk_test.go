package edge_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/isthmus-mesh/isthmus/edge"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func TestDamagedBundle(t *testing.T) {
	s := newShop(t)
	s.edge.stop()
	Check(t, os.WriteFile(filepath.Join(s.dir, "bundle"), []byte("not a bundle at all"), 0o600))
	e := s.run(s.config(s.dir))
	Eventually(t, "a condition", s.complains("StateCorrupt"))
	p := s.discover(e.addr, s.web.peer, s.web.node)
	Eventually(t, "the same endpoints", p.calls(reviews, "10.0.0.1"))
}

func TestDamagedCredentialsAreNotReplaced(t *testing.T) {
	h := newHub(t)
	dir := t.TempDir()
	Check(t, os.WriteFile(filepath.Join(dir, "credentials"), []byte("not credentials"), 0o600))
	if err := edge.Run(t.Context(), h.config(dir)); err == nil || !strings.Contains(err.Error(), "join again with an empty data directory") {
		t.Errorf("got %v", err)
	}
}

// TestFullDisk uses a file system of its own: it needs root, which continuous integration has.
func TestFullDisk(t *testing.T) {
	h := newHub(t)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small file system: %v", err)
		}
		t.Skipf("needs root to mount a small file system: %v", err)
	}
	t.Cleanup(func() { Check(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	token, tokenResource := h.workloadToken("web")
	h.publish(zoneInfo(t), tokenResource)
	e := h.run(h.config(dir))
	ballast := filepath.Join(dir, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 1<<20), 0o600) // as much as there is room for
	h.publish(resource(t, "JoinToken//large", &feedpb.Token{Name: "large", Service: strings.Repeat("x", 20_000)}))
	Eventually(t, "a condition", h.complains("StateNotSaved"))
	web := h.join(e.addr, token) // the hub knows that the token is used
	h.attend(e.addr, web, "10.0.0.9")
	p := h.discover(e.addr, web.peer, web.node)
	Eventually(t, "service from memory", p.calls("outbound|9080||web.shop.mesh", "10.0.0.9"))
	Check(t, os.Remove(ballast))
	Eventually(t, "no condition", func() bool { return !h.complains("StateNotSaved")() })
	e.stop()
	h.stop()
	e = h.run(h.config(dir))
	p = h.discover(e.addr, web.peer, web.node)
	Eventually(t, "everything was saved", p.calls("outbound|9080||web.shop.mesh", "10.0.0.9"))
}
