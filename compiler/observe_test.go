package compiler_test

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
)

// A cluster is told of a namespace that is observed as of one that is managed; the switch itself changes no claim, and
// what another workspace says comes to nothing while the first names it.
func TestObservedNamespacesReachTheEdge(t *testing.T) {
	born := map[string]metav1.Time{"shop": metav1.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "bank": metav1.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	workspace := func(name string, zones, observe []string) compiler.Change {
		return compiler.Change{Kind: "Workspace", Name: name, Object: &v1alpha1.Workspace{
			ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1, CreationTimestamp: born[name]}, Spec: v1alpha1.WorkspaceSpec{Zones: zones, Observe: observe},
		}}
	}
	cluster := compiler.Change{Kind: "Zone", Name: "prod-1", Object: &v1alpha1.Zone{
		ObjectMeta: metav1.ObjectMeta{Name: "prod-1", Generation: 1}, Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes},
	}}
	c := compiler.New(compiler.Options{})
	claims := func(revision int64, changes ...compiler.Change) (all []string) {
		for _, claim := range zoneFacts(t, c.Apply(revision, changes), "prod-1").GetClaims() {
			all = append(all, claim.Namespace+"="+claim.Workspace)
		}
		return all
	}
	if got := claims(1, cluster, workspace("shop", nil, []string{"prod-1/store"})); !slices.Equal(got, []string{"store=shop"}) {
		t.Errorf("observed, prod-1 has the claims %v", got)
	}
	got := claims(2, workspace("shop", []string{"prod-1/store"}, nil), workspace("bank", nil, []string{"prod-1/store"}))
	if len(got) > 0 {
		t.Errorf("managed, and observed by another workspace, prod-1 has the claims %v; want no news", got)
	}
	if got := claims(3, workspace("shop", nil, nil)); !slices.Equal(got, []string{"store=bank"}) {
		t.Errorf("when its manager is gone, prod-1 has the claims %v", got)
	}
}
