package bundle_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/types/known/anypb"

	"github.com/isthmus-mesh/isthmus/edge/bundle"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func resource(t *testing.T, name, version string) *feedpb.Resource {
	t.Helper()
	body, err := anypb.New(&feedpb.ZoneInfo{Name: version})
	check(t, err)
	return &feedpb.Resource{Name: name, Version: version, Body: body, Origins: []*feedpb.Origin{{Kind: "Zone", Name: name}}}
}

func TestSurvivesRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle")
	b, err := bundle.Open(path)
	check(t, err)
	b.Put(feed.Revision{Number: 7, Upserts: []*feedpb.Resource{resource(t, "Zone//dc1", "1"), resource(t, "JoinToken//a", "1")}})
	check(t, b.Save())
	b.Put(feed.Revision{Number: 9, Upserts: []*feedpb.Resource{resource(t, "Zone//dc1", "2")}, Removed: []string{"JoinToken//a"}})
	check(t, b.Save())
	check(t, b.Close())
	b, err = bundle.Open(path)
	check(t, err)
	t.Cleanup(func() { check(t, b.Close()) })
	revision, versions := b.Versions()
	if revision != 9 || len(versions) != 1 || versions["Zone//dc1"] != "2" {
		t.Errorf("came back at %d with %v", revision, versions)
	}
	if r := b.Get("Zone//dc1"); r.Body == nil || len(r.Origins) != 1 {
		t.Errorf("a resource came back as %v", r)
	}
	n := 0
	b.Each("Zone/", func(*feedpb.Resource) { n++ })
	b.Each("JoinToken/", func(*feedpb.Resource) { n += 10 })
	if n != 1 {
		t.Errorf("Each visited %d", n)
	}
}

func TestDamagedFileIsSetAsideAndSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bundle")
	check(t, os.WriteFile(path, []byte("certainly not a bundle"), 0o600))
	b, err := bundle.Open(path)
	if !errors.Is(err, journal.ErrCorrupt) {
		t.Fatalf("got %v, want ErrCorrupt", err)
	}
	if b.Revision() != 0 {
		t.Errorf("revision %d out of nothing", b.Revision())
	}
	b.Put(feed.Revision{Number: 3})
	check(t, b.Save())
	check(t, b.Close())
	b, err = bundle.Open(path)
	check(t, err)
	if b.Revision() != 3 {
		t.Errorf("revision %d after the repair, want 3", b.Revision())
	}
	check(t, b.Close())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
