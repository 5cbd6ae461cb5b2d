package kube

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestProtocolOf(t *testing.T) {
	for _, test := range []struct{ name, app, want string }{
		{"http-web", "", "http"}, {"http", "", "http"}, {"http2", "", "http2"}, {"grpc-x", "", "grpc"}, {"grpc-web-x", "", "http"},
		{"grpc-web", "", "http"}, {"https-x", "", "tls"}, {"tcp-db", "", "tcp"}, {"HTTP-Web", "", "http"}, {"mysql", "", "tcp"},
		{"web", "", ""}, {"httpx", "", ""}, {"", "", ""}, {"x", "grpc", "grpc"}, {"http-x", "kubernetes.io/h2c", "http2"}, {"http-x", "example.com/own", ""},
	} {
		p := corev1.ServicePort{Name: test.name}
		if test.app != "" {
			p.AppProtocol = &test.app
		}
		if got := protocolOf(p); got != test.want {
			t.Errorf("port %q of application protocol %q speaks %q, want %q", test.name, test.app, got, test.want)
		}
	}
}
