package kube

import (
	"bytes"
	"encoding/json"
	"strings"
	"text/template"
)

// Serve applies a service of the sample shop: a namespace with injection, and in it an account and a Service of
// its name, and a Deployment of one pod for a version of it. Flags are those of shop.
func (z *Zone) Serve(namespace, service, version string, flags ...string) {
	z.t.Helper()
	port, protocol := "9080", "http"
	switch service {
	case "rates":
		port, protocol = "9090", "grpc"
	case "ledger":
		port, protocol = "9100", "tcp"
	}
	command, err := json.Marshal(append([]string{"shop", service, "--listen=:" + port, "--version=" + version, "--host=$(POD_NAME)"}, flags...))
	if err != nil {
		z.t.Fatal(err)
	}
	var text bytes.Buffer
	if err := shopObjects.Execute(&text, map[string]string{
		"Namespace": namespace, "Service": service, "Version": version, "Port": port, "Protocol": protocol, "Command": string(command),
	}); err != nil {
		z.t.Fatal(err)
	}
	z.Apply(text.String())
}

var shopObjects = template.Must(template.New("shop").Parse(`
apiVersion: v1
kind: Namespace
metadata: {name: {{.Namespace}}, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: {{.Service}}, namespace: {{.Namespace}}}
---
apiVersion: v1
kind: Service
metadata: {name: {{.Service}}, namespace: {{.Namespace}}}
spec:
  selector: {app: {{.Service}}}
  ports: [{name: {{.Protocol}}, port: {{.Port}}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{.Service}}-{{.Version}}, namespace: {{.Namespace}}}
spec:
  selector: {matchLabels: {app: {{.Service}}, version: {{.Version}}}}
  template:
    metadata: {labels: {app: {{.Service}}, version: {{.Version}}}}
    spec:
      serviceAccountName: {{.Service}}
      terminationGracePeriodSeconds: 15
      containers:
      - name: {{.Service}}
        image: none
        command: {{.Command}}
        env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{containerPort: {{.Port}}}]
        readinessProbe: {tcpSocket: {port: {{.Port}}}}
        lifecycle: {preStop: {sleep: {seconds: 1}}}
`))

// ServeGateway applies a gateway of Istio's in istio-system: an account and a Deployment of that name, of one pod
// with the label istio=LABEL, by which Istio's Gateways select it.
func (z *Zone) ServeGateway(name, label string) {
	z.t.Helper()
	z.Apply(strings.NewReplacer("NAME", name, "LABEL", label).Replace(gatewayObjects))
}

const gatewayObjects = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: NAME, namespace: istio-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: LABEL}}
  template:
    metadata:
      labels: {istio: LABEL, sidecar.istio.io/inject: "true"}
      annotations: {inject.istio.io/templates: gateway}
    spec: {serviceAccountName: NAME, containers: [{name: istio-proxy, image: auto}]}
`
