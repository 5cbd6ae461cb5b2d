package kube

import (
	"encoding/json"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// mirrorIstiod shows an istiod as a pod, as which those find it who look for it in the cluster. It is on no node, so that
// nobody runs it.
func (z *Zone) mirrorIstiod(r *Replica) {
	z.t.Helper()
	z.Apply(strings.NewReplacer("NAME", r.Name).Replace(istiodPod))
	now, ip := metav1.NewTime(time.Now().Truncate(time.Second)), r.Machine.IPv4.String()
	status, err := json.Marshal(map[string]any{"status": corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &now,
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}},
	}})
	if err == nil {
		_, err = z.Core.CoreV1().Pods(istioNamespace).Patch(z.t.Context(), r.Name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status")
	}
	if err != nil {
		z.t.Fatal(err)
	}
}

const istiodPod = `
apiVersion: v1
kind: Pod
metadata: {name: NAME, namespace: istio-system, labels: {app: istiod, istio.io/rev: default, app.kubernetes.io/version: 1.31.0}}
spec: {nodeName: nowhere, containers: [{name: discovery, image: none}]}
`

// ReceiptsAccount makes the service account as which an edge asks istiod, and returns its name, "NAMESPACE/NAME".
func (z *Zone) ReceiptsAccount() string {
	z.t.Helper()
	z.Apply(istioSystem(z.istio.Network))
	z.Apply("{apiVersion: v1, kind: ServiceAccount, metadata: {name: isthmus-receipts, namespace: " + istioNamespace + "}}")
	return istioNamespace + "/isthmus-receipts"
}
