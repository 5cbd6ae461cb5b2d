package istio

import (
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"
	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Scope renders what the proxies of a workspace hear of: its own services and those that the
// workspaces it imports show it. Without, every proxy would be sent the whole mesh.
func Scope(workspace string, imports []string, from plan.Origin) *feedpb.Resource {
	hosts := []string{"./*"}
	for _, imported := range slices.Sorted(slices.Values(imports)) {
		if imported != workspace {
			hosts = append(hosts, imported+"/*")
		}
	}
	object := &networking.Sidecar{Egress: []*networking.IstioEgressListener{{Hosts: slices.Compact(hosts)}}}
	return resource(KindSidecar, workspace, "default", object, []plan.Origin{from})
}

// ZoneInfo renders the resource "Zone//NAME".
func ZoneInfo(info *feedpb.ZoneInfo, from plan.Origin) *feedpb.Resource {
	return resource(KindZone, "", info.Name, info, []plan.Origin{from})
}

// Token renders a join token for the zone it is for.
func Token(t *v1alpha1.JoinToken, from plan.Origin) *feedpb.Resource {
	return resource(KindToken, "", t.Name, &feedpb.Token{
		Name:         t.Name,
		SecretSha256: t.Spec.SecretSHA256,
		Expires:      timestamppb.New(t.Spec.Expires.Time),
		Role:         string(t.Spec.Role),
		Workspace:    t.Spec.Workspace,
		Service:      t.Spec.Service,
		KeySha256:    t.Status.KeySHA256,
	}, []plan.Origin{from})
}
