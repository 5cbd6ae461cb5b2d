package istio

import (
	"google.golang.org/protobuf/types/known/durationpb"
	meshconfig "istio.io/api/mesh/v1alpha1"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// Defaults puts the plan's defaults into the configuration of a Pilot, for services that have no
// routing and for those that an edge adds before the hub has seen them.
func Defaults(mesh *meshconfig.MeshConfig) {
	mesh.ConnectTimeout = durationpb.New(plan.DefaultConnectTimeout)
	mesh.DefaultHttpRetryPolicy = retry(*plan.DefaultRetries())
}
