package stories_test

import (
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// passing is the gateway of the shop with a listener that leaves TLS to what is behind it.
const passing = `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  gatewayClassName: isthmus
  listeners:
  - {name: http, protocol: HTTP, port: 8080}
  - {name: passed, protocol: TLS, port: 8443, tls: {mode: Passthrough}}
`

// byName is a TLSRoute of that gateway, for the name of a service.
func byName(service string) string {
	return `---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: ` + service + `, namespace: shop}
spec:
  parentRefs: [{name: public, sectionName: passed}]
  hostnames: [` + service + `.example.com]
  rules: [{backendRefs: [{name: ` + service + `, port: 9443}]}]
`
}

// passthrough leads connections by the name in their handshake, which they have with the service itself.
func passthrough(w world) {
	trusted := map[string]string{"vault": w.holder("vault"), "mail": w.holder("mail")}
	w.apply(passing+byName("vault")+byName("mail"), "gateway/public", "tlsroute/vault", "tlsroute/mail")
	const sent = 10
	for service, certificate := range trusted {
		name := service + ".example.com"
		tally := w.browseTLS(sent, name, certificate)
		tally.MustLoseNothing(w)
		if tally.ByVersion(service, name) != sent || tally.ByHost(service, service+"1") != sent {
			w.Errorf("all should have been answered by %s, asked for %s: %s", service, name, tally)
		}
	}
	for name, code := range map[string]string{"vault.example.com": "(60)", "stranger.example.com": "(35)"} { // curl's codes: distrust, no handshake
		if err := w.handshake(name, trusted["mail"]); err == nil || !strings.Contains(err.Error(), code) {
			w.Errorf("%s should fail with %s: %v", name, code, err)
		}
	}
	w.web().Ask(5, "http://127.0.0.1:9080/").MustLoseNothing(w)
	w.inside()
}

// holder starts a service of the mesh that has a certificate of its own, and returns the certificate's path.
func (w world) holder(service string) string {
	w.Helper()
	machine := w.mesh.Machine(service + "1")
	certificate, key := meshtest.Certificate(w, service+".example.com")
	w.serveTLS(machine, "0.0.0.0:9443", service, certificate, key)
	agent := machine.Join(w.zone.Token("shop", service), "--port=9443=tls", "--check=tcp")
	w.Cleanup(func() {
		if err := agent.Leave(); err != nil {
			w.Error(err)
		}
	})
	return w.Browser.WriteFile(service+".pem", string(certificate))
}

// browseTLS has the browser ask the gateway under a name, trusting one certificate.
func (w world) browseTLS(n int, name, trusted string) *meshtest.Tally {
	w.Helper()
	return w.Browser.Ask(n, "https://"+name+":8443/", "--cacert", trusted, "--resolve", name+":8443:"+w.Machines["public"].IPv4.String())
}

// inside leads connections between machines of the mesh elsewhere; what is in them stays between the two ends.
func (w world) inside() {
	ask := func(answered string) {
		w.Helper()
		const sent = 10
		tally := w.web().Ask(sent, "https://vault:9443/", "--insecure")
		tally.MustLoseNothing(w)
		if tally.ByHost(answered, answered+"1") != sent {
			w.Errorf("all should have been answered by %s: %s", answered, tally)
		}
	}
	ask("vault")
	w.apply(`apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: inside, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: vault}]
  hostnames: [vault]
  rules: [{backendRefs: [{name: mail, port: 9443}]}]
`, "tlsroute/inside")
	ask("mail")
}
