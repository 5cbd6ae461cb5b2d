package stories_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// second starts version v2 of a service on another machine, until the end of the test.
func (w world) second(service, port string) {
	w.Helper()
	machine := w.mesh.Machine(service + "2")
	machine.Serve(service, "--version=v2")
	agent := machine.Join(w.zone.Token("shop", service), "--port="+port, "--version=v2")
	w.Cleanup(func() {
		if err := agent.Leave(); err != nil {
			w.Error(err)
		}
	})
}

// ask has the shop's front ask everything it depends on.
func (w world) ask(n int, flags ...string) *meshtest.Tally {
	w.Helper()
	return w.web().Ask(n, "http://127.0.0.1:9080/", flags...)
}

// grpcRoute leads one method to v2 and serves no other.
func grpcRoute(w world) {
	w.second("rates", "9090=grpc")
	toSecond := strings.Replace(w.Example("grpc"), "- name: rates\n      port: 9090", "- {group: isthmus.dev, kind: Subset, name: rates-v2, port: 9090}", 1)
	w.apply(toSecond, "grpcroute/rates")
	tally := w.ask(30)
	tally.MustLoseNothing(w)
	w.mustBe("share of v2", share(tally, "rates", "v2"), 1, 0)
	if callers := strings.Join(tally.Callers("rates"), " "); callers != "spiffe://isthmus.local/ns/shop/sa/web" {
		w.Errorf("rates saw callers %q", callers)
	}
	out, err := w.web().Get("http://rates:9090/grpc.health.v1.Health/Check", "--http2-prior-knowledge", "--include", "--request", "POST",
		"--header", "content-type: application/grpc", "--header", "te: trailers")
	if err != nil || !strings.Contains(out, "grpc-status: 12") { // UNIMPLEMENTED
		w.Errorf("another method: %v: %s", err, out)
	}
	w.grpcByHeader()
}

// grpcByHeader leads the calls for one user to v2, and all others to v1.
func (w world) grpcByHeader() {
	w.apply(`apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: rates, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: rates}]
  rules:
  - matches: [{method: {service: shop.rates.v1.Rates}, headers: [{name: end-user, value: ada}]}]
    backendRefs: [{group: isthmus.dev, kind: Subset, name: rates-v2, port: 9090}]
  - backendRefs: [{group: isthmus.dev, kind: Subset, name: rates-v1, port: 9090}]
`, "grpcroute/rates")
	for user, version := range map[string]string{"ada": "v2", "eve": "v1"} {
		w.mustBe("share of "+version+" for user "+user, share(w.ask(10, "--header", "end-user: "+user), "rates", version), 1, 0)
	}
}

// tcpRoute splits connections, which before that are kept together by their source.
func tcpRoute(w world) {
	w.second("ledger", "9100=tcp")
	w.apply(policy("ledger", "  loadBalancing: {policy: ConsistentHash, consistentHash: {source: true}}"), "trafficpolicy/ledger")
	together := w.ask(30)
	together.MustLoseNothing(w)
	if first := together.ByHost("ledger", "ledger1"); first != 0 && first != together.Sent() {
		w.Errorf("the connections of one caller reached both machines: %s", together)
	}
	split := strings.Replace(w.Example("tcp"), "weight: 1\n", "weight: 1\n    - {group: isthmus.dev, kind: Subset, name: ledger-v2, port: 9100, weight: 3}\n", 1)
	w.apply(split, "tcproute/ledger")
	tally := w.ask(200)
	tally.MustLoseNothing(w)
	w.mustBe("share of v2", share(tally, "ledger", "v2"), 0.75, 0.13) // four standard deviations
	w.mustBe("share of v1", share(tally, "ledger", "v1"), 0.25, 0.13)
}

const partnerName = "payments.example.com"

// externalTLS calls a partner by plain HTTP and a name of the mesh; from the proxy on it is TLS, verified.
func externalTLS(w world) {
	certificate, key := meshtest.Certificate(w, partnerName)
	w.partner(certificate, key)
	roots := w.mesh.Desk().WriteFile("partner.pem", string(certificate))
	w.mesh.Kubectl("create", "configmap", "partner", "-n", "shop", "--from-file=ca.crt="+roots)
	w.Cleanup(func() { w.mesh.Kubectl("delete", "configmap", "partner", "-n", "shop") })
	trusting := strings.Replace(w.Example("external"), "sni: "+partnerName, "sni: "+partnerName+"\n    caCertificateRef: partner", 1)
	w.apply(trusting, "isvc/payments", "trafficpolicy/payments-tls")

	capture := w.mesh.LAN.Capture()
	meshtest.Eventually(w, "the partner is reached", func() error {
		if tally := w.web().Ask(1, "http://payments/secret"); tally.Failed() > 0 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
	tally := w.web().Ask(20, "http://payments/secret")
	tally.MustLoseNothing(w)
	if tally.ByVersion("payments", partnerName) != 20 {
		w.Errorf("the partner should have been asked for %s: %s", partnerName, tally)
	}
	if flows := capture.Saw("/secret"); len(flows) > 0 {
		w.Errorf("plaintext from %s to %s", flows[0].From, flows[0].To)
	}

	other, _ := meshtest.Certificate(w, partnerName)
	stranger := w.mesh.Desk().WriteFile("stranger.pem", string(other))
	w.mesh.Apply(w.mesh.Kubectl("create", "configmap", "partner", "-n", "shop", "--from-file=ca.crt="+stranger, "--dry-run=client", "--output=yaml"))
	meshtest.Eventually(w, "a partner that is not trusted is not asked", func() error {
		if tally := w.web().Ask(1, "http://payments/secret"); tally.Status(http.StatusServiceUnavailable) != 1 {
			return fmt.Errorf("%s", tally)
		}
		return nil
	})
}

// partner serves HTTPS on a machine that is not in the mesh.
func (w world) partner(certificate, key []byte) {
	w.Helper()
	machine := w.mesh.Machine("partner")
	w.mesh.LAN.Name(partnerName, machine.IPv4)
	w.serveTLS(machine, machine.IPv4.String()+":443", "payments", certificate, key)
}

// serveTLS serves HTTPS until the end of the test. Its answers state the name it was asked for as version.
func (w world) serveTLS(machine *meshtest.Machine, address, service string, certificate, key []byte) {
	w.Helper()
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		w.Fatal(err)
	}
	listener, err := machine.Listen("tcp", address)
	if err != nil {
		w.Fatal(err)
	}
	silent := log.New(io.Discard, "", 0) // of handshakes that fail, as some should
	server := &http.Server{ErrorLog: silent, Handler: http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		json.NewEncoder(answer).Encode(meshtest.Answer{Service: service, Version: request.TLS.ServerName, Host: machine.Name})
	})}
	server.SetKeepAlivesEnabled(false) // so that each request shakes hands
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}}))
	}()
	w.Cleanup(func() { server.Close(); <-ended })
}

// tlsIngress ends TLS at the gateway with a certificate that kubectl made a secret of, and with the next one.
func tlsIngress(w world) {
	first := w.secret("create")
	w.Cleanup(func() { w.mesh.Kubectl("delete", "secret", "shop-cert", "-n", "shop") })
	w.apply(w.Example("tls-ingress"), "gateway/public")
	if err := w.handshake("shop.example.com", first); err != nil {
		w.Error(err)
	}
	if err := w.handshake("other.example.com", first); err == nil || !strings.Contains(err.Error(), "(35)") {
		w.Errorf("by another name the handshake should fail: %v", err)
	}
	second := w.secret("apply")
	meshtest.Eventually(w, "the next certificate is served", func() error { return w.handshake("shop.example.com", second) })
	if err := w.handshake("shop.example.com", first); err == nil {
		w.Error("the first certificate is still served")
	}
	w.web().Ask(5, "http://127.0.0.1:9080/").MustLoseNothing(w)
}

// secret makes a certificate and the secret shop-cert of it, and returns the certificate's path.
func (w world) secret(how string) string {
	w.Helper()
	certificate, key := meshtest.Certificate(w, "shop.example.com")
	desk := w.mesh.Desk()
	path := desk.WriteFile(how+".pem", string(certificate))
	create := []string{"create", "secret", "tls", "shop-cert", "-n", "shop", "--cert=" + path, "--key=" + desk.WriteFile(how+"-key.pem", string(key))}
	if how == "create" {
		w.mesh.Kubectl(create...)
		return path
	}
	w.mesh.Apply(w.mesh.Kubectl(append(create, "--dry-run=client", "--output=yaml")...))
	return path
}

// handshake has the browser ask by HTTPS, trusting one certificate. It is root, who may read that file.
func (w world) handshake(name, trusted string) error {
	address := w.Machines["public"].IPv4.String()
	out, err := w.Browser.Run(w.Context(), "", "curl", "--silent", "--show-error", "--fail", "--max-time", "10",
		"--cacert", trusted, "--resolve", name+":8443:"+address, "https://"+name+":8443/")
	if err == nil && !strings.Contains(out, `"service": "web"`) {
		err = fmt.Errorf("answered %s", out)
	}
	return err
}

// anotherGateway joins by the line alone: what it listens on is the Gateway's to say.
func anotherGateway(w world) {
	machine := w.mesh.Machine("public2")
	agent := machine.Gateway(w.zone.GatewayToken("shop", "public"))
	load := w.Load()
	load.URL = "http://" + machine.IPv4.String() + ":8080/"
	load.Send(w.Context(), 20).MustLoseNothing(w)
	if err := agent.Leave(); err != nil {
		w.Error(err)
	}
	if tally := load.Send(w.Context(), 1); tally.Failed() != 1 {
		w.Errorf("a gateway that left is still there: %s", tally)
	}
}
