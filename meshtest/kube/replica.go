package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Replica is one istiod of a zone. All have the same authority, and agree by themselves which of them leads.
type Replica struct {
	// Name is that of its pod.
	Name string
	// Machine is where it runs: the zone's for the first, one of its own for the others.
	Machine *meshtest.Machine
	*meshtest.Process
}

func (z *Zone) addReplica() {
	z.t.Helper()
	number := len(z.Replicas) + 1
	m := z.world.Machine(fmt.Sprintf("%s-i%d", z.Name, number))
	name := fmt.Sprintf("istiod-%s-%d", z.Name, number)
	r := &Replica{name, m, m.Start("istiod", z.istiod(name, m))}
	z.t.Cleanup(r.Kill)
	z.Replicas = append(z.Replicas, r)
	r.WaitReady(z)
}

// WaitReady waits until it serves.
func (r *Replica) WaitReady(z *Zone) {
	z.t.Helper()
	meshtest.Eventually(z.t, r.Name+" is ready", func() error {
		r.MustRun()
		_, err := r.Ask(z.t.Context(), "/ready")
		return err
	})
}

// Ask gets a path of its HTTP server, as one who is on its machine.
func (r *Replica) Ask(ctx context.Context, path string) ([]byte, error) {
	return get(ctx, r.Machine, "http://"+istiodHTTP+path)
}

// Proxies are those that are connected to it, as "NAME.NAMESPACE".
func (r *Replica) Proxies(ctx context.Context) (names []string, err error) {
	text, err := r.Ask(ctx, "/debug/syncz")
	if err != nil {
		return nil, err
	}
	var proxies []struct{ Proxy string }
	if err := json.Unmarshal(text, &proxies); err != nil {
		return nil, fmt.Errorf("%w in %s", err, text)
	}
	for _, p := range proxies {
		names = append(names, p.Proxy)
	}
	return names, nil
}

// showReplicas shows all istiods as pods, and as the endpoints of one Service, which has no selector: the pods are on no
// node, and such are no endpoints for Kubernetes.
func (z *Zone) showReplicas() {
	z.t.Helper()
	var endpoints []string
	for _, r := range z.Replicas {
		z.mirrorIstiod(r)
		endpoints = append(endpoints, fmt.Sprintf("{addresses: [%s], conditions: {ready: true}, targetRef: {kind: Pod, namespace: %s, name: %s}}", r.Machine.IPv4, istioNamespace, r.Name))
	}
	z.Apply(strings.NewReplacer("ENDPOINTS", strings.Join(endpoints, ", ")).Replace(istiodService))
}

const istiodService = `
apiVersion: v1
kind: Service
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}
spec: {ports: [{name: https-dns, port: 15012}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: istiod, namespace: istio-system, labels: {kubernetes.io/service-name: istiod, endpointslice.kubernetes.io/managed-by: test}}
addressType: IPv4
ports: [{name: https-dns, port: 15012}]
endpoints: [ENDPOINTS]
`

// istiodHosts are the lines by which a pod finds istiod: all of them, of which those who ask try the first one first.
// That is another one for every other machine.
func (z *Zone) istiodHosts(m *meshtest.Machine) string {
	var lines strings.Builder
	ip := m.IPv4.As4()
	for i := range z.Replicas {
		r := z.Replicas[(int(ip[3])+i)%len(z.Replicas)]
		fmt.Fprintf(&lines, "%s %s\n", r.Machine.IPv4, istiodHost)
	}
	return lines.String()
}
