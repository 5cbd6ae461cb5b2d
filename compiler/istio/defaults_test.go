package istio

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/validation/agent"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// TestDefaults: a service without routing is retried as one with.
func TestDefaults(t *testing.T) {
	config := mesh.DefaultMeshConfig()
	Defaults(config)
	if _, err := agent.ValidateMeshConfig(config); err != nil {
		t.Fatal(err)
	}
	routed := httpRoute(&plan.Rule{Retries: plan.DefaultRetries(), Backends: []plan.Backend{{}}})
	if !proto.Equal(routed.Retries, config.DefaultHttpRetryPolicy) {
		t.Errorf("routes: %v, mesh: %v", routed.Retries, config.DefaultHttpRetryPolicy)
	}
	if got := config.ConnectTimeout.AsDuration(); got != plan.DefaultConnectTimeout {
		t.Errorf("connect timeout %v", got)
	}
}
