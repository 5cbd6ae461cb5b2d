package compiler_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// edgesOf are the edges that a delta tells a zone of; told is false when the zone's facts did not change.
func edgesOf(t *testing.T, out *compiler.Output, zone string) (names []string, told bool) {
	t.Helper()
	info := zoneFacts(t, out, zone)
	for _, e := range info.GetEdges() {
		names = append(names, e.Name+"="+e.Addresses[0])
	}
	return names, info != nil
}

func TestEdgesOfAZoneKnowOneAnother(t *testing.T) {
	c := compiler.New(compiler.Options{})
	zone := func(name string) compiler.Change {
		return compiler.Change{Kind: "Zone", Name: name, Object: &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}}
	}
	c.Apply(1, []compiler.Change{zone("dc1"), zone("dc2")})
	two := &compiler.Edges{Edges: []compiler.Edge{{Name: "e1", Addresses: []string{"10.0.0.1:15012"}}, {Name: "e2", Addresses: []string{"10.0.0.2:15012"}}}}
	out := c.Apply(2, []compiler.Change{{Kind: compiler.KindEdges, Name: "dc1", Object: two}})
	if got, _ := edgesOf(t, out, "dc1"); len(got) != 2 || got[1] != "e2=10.0.0.2:15012" {
		t.Errorf("dc1 has the edges %v", got)
	}
	if got, told := edgesOf(t, out, "dc2"); told {
		t.Errorf("dc2 is told of %v, which are not its own", got)
	}
	out = c.Apply(3, []compiler.Change{{Kind: compiler.KindEdges, Name: "dc1"}})
	if got, told := edgesOf(t, out, "dc1"); !told || len(got) > 0 {
		t.Errorf("without edges: %v, told %v", got, told)
	}
}
