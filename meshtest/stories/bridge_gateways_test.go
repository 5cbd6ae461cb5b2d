package stories_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/meshtest"
)

// gateways has the cluster's gateway discovered instead of written, then move: what calls across follows, and the other
// zone's edge tries the addresses that are found.
func (b *bridge) gateways(t *testing.T) {
	const details = "http://details:9080/"
	first := b.prod.WaitPod("istio-system", "istio=eastwestgateway").IPv4.String()
	b.mesh.Kubectl("patch", "zone", "prod-1", "--type=merge", `--patch={"spec":{"eastWest":{"discover":true,"addresses":null}}}`)
	b.mesh.Says(problem.GatewayNotFound.Reason)
	b.prod.Balance("eastwest", "eastwestgateway", first)
	b.mesh.Says("east-west gateway istio-system/eastwest: " + first + ":15443")
	eventuallyAll(t, b.web1, details, "details", "prod-1")

	b.prod.ServeGateway("eastwest2", "eastwestgateway")
	second := ""
	for _, pod := range b.prod.WaitPods(2, "istio-system", "istio=eastwestgateway") {
		if address := pod.IPv4.String(); address != first {
			second = address
		}
	}
	closed := b.prod.Machine.IPv4.String() // where no gateway listens
	b.prod.Balance("eastwest", "eastwestgateway", second, closed)
	b.mesh.Says(problem.PathBlocked.Code, fmt.Sprintf("from zone dc1 to zone prod-1 at %s:15443", closed))
	b.prod.Balance("eastwest", "eastwestgateway", second)
	meshtest.Eventually(t, "the closed way is none any more", func() error {
		out, _ := b.mesh.TryIsthmus("status") // fails while anything needs attention
		if strings.Contains(out, problem.PathBlocked.Code) || !strings.Contains(out, "istio-system/eastwest: "+second+":15443\n") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	if err := b.prod.Core.AppsV1().Deployments("istio-system").Delete(t.Context(), "eastwest", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.prod.WaitPod("istio-system", "istio=eastwestgateway")
	eventuallyAll(t, b.web1, details, "details", "prod-1")
	b.web1.Ask(100, details).MustLoseNothing(t)
}
