package pilot

import (
	"strconv"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	"github.com/isthmus-mesh/isthmus/compiler/plan"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func gatewayWorkload() Workload {
	return Workload{
		Name: "ingress-1", Workspace: "shop", Service: "ingress", Role: Gateway, Addresses: []string{"10.0.0.9"}, Healthy: true,
	}
}

// explicitWorkload captures nothing: it has an HTTP proxy and one upstream of each sort.
func explicitWorkload() Workload {
	w := sidecar("reviews", "reviews-9", "127.1.0.9")
	w.Capture, w.HTTPProxy = Explicit, "127.1.0.9:15080"
	w.Ports = []Port{{Port: 9080, Protocol: "http", Target: 19080}}
	w.Upstreams = []Upstream{
		{Host: "ratings", Port: 9080, Listen: "127.1.0.9:19081"},
		{Host: "ledger.shop", Port: 9070, Listen: "127.1.0.9:19070"},
		{Host: "nobody", Port: 1, Listen: "127.1.0.9:19071"},
	}
	return w
}

// ingressGateway serves HTTPS with the secret "cert" on port 8443.
func ingressGateway(t testing.TB) *feedpb.Resource { return ingressGatewayAt(t, "8443") }

func ingressGatewayAt(t testing.TB, port string) *feedpb.Resource {
	t.Helper()
	number, err := strconv.ParseUint(port, 10, 16)
	check(t, err)
	return pack(t, "Gateway/shop/ingress", "1", &networking.Gateway{
		Selector: map[string]string{plan.LabelService: "ingress"},
		Servers: []*networking.Server{{
			Port:  &networking.Port{Number: uint32(number), Name: "https", Protocol: "HTTPS"},
			Hosts: []string{"*"},
			Tls:   &networking.ServerTLSSettings{Mode: networking.ServerTLSSettings_SIMPLE, CredentialName: "cert"},
		}},
	})
}

// selectReviews lets a service be served by the workloads of reviews.
func selectReviews(t testing.TB, r *feedpb.Resource) {
	t.Helper()
	entry := &networking.ServiceEntry{}
	check(t, r.Body.UnmarshalTo(entry))
	entry.WorkloadSelector.Labels = map[string]string{plan.LabelService: "reviews"}
	check(t, r.Body.MarshalFrom(entry))
}
