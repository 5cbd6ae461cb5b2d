package kube

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Balance gives gateways of [Zone.ServeGateway] with a label a Service in istio-system as Istio's own chart does, of type
// LoadBalancer, and these addresses, as a cloud would.
func (z *Zone) Balance(name, label string, addresses ...string) {
	z.t.Helper()
	z.Apply(strings.NewReplacer("NAME", name, "LABEL", label).Replace(balancedService))
	var status corev1.ServiceStatus
	for _, address := range addresses {
		status.LoadBalancer.Ingress = append(status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: address})
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	if err == nil {
		_, err = z.Core.CoreV1().Services(istioNamespace).Patch(z.t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

const balancedService = `
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: istio-system, labels: {istio: LABEL}}
spec: {type: LoadBalancer, selector: {istio: LABEL}, ports: [{name: status-port, port: 15021}, {name: tls, port: 15443}]}
`
