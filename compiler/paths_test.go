package compiler_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// zoneFacts are what a delta tells a zone of itself; nil when it says nothing new.
func zoneFacts(t *testing.T, out *compiler.Output, zone string) *feedpb.ZoneInfo {
	t.Helper()
	if out.Zones[zone] == nil {
		return nil
	}
	for _, r := range out.Zones[zone].Upserts {
		if r.Name != "Zone//"+zone {
			continue
		}
		info := &feedpb.ZoneInfo{}
		if err := r.Body.UnmarshalTo(info); err != nil {
			t.Fatal(err)
		}
		return info
	}
	return nil
}

// A zone learns the ways into zones with which it shares a workspace, once each, and no others.
func TestZonesLearnTheWaysToTheirNeighbours(t *testing.T) {
	zone := func(name string, gateways ...string) compiler.Change {
		return compiler.Change{Kind: "Zone", Name: name, Object: &v1alpha1.Zone{
			ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}, Spec: v1alpha1.ZoneSpec{EastWest: v1alpha1.EastWest{Addresses: gateways}},
		}}
	}
	workspace := func(name string, zones ...string) compiler.Change {
		return compiler.Change{Kind: "Workspace", Name: name, Object: &v1alpha1.Workspace{
			ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}, Spec: v1alpha1.WorkspaceSpec{Zones: zones},
		}}
	}
	out := compiler.New(compiler.Options{}).Apply(1, []compiler.Change{
		zone("dc1", "10.0.1.1"), zone("dc2", "10.0.2.1:443", "fd00::2"), zone("dc3", "10.0.3.1"),
		workspace("shop", "dc1", "dc2"), workspace("bank", "dc1", "dc2"), workspace("lab", "dc3"),
	})
	paths := zoneFacts(t, out, "dc1").GetPaths()
	if len(paths) != 1 || paths[0].Zone != "dc2" || len(paths[0].Addresses) != 2 || paths[0].Addresses[1] != "[fd00::2]:15443" {
		t.Errorf("dc1 is entered into %v", paths)
	}
	if paths := zoneFacts(t, out, "dc3").GetPaths(); len(paths) > 0 {
		t.Errorf("dc3 shares no workspace and learns of %v", paths)
	}
}
