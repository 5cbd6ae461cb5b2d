package stories_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

// A second cluster that joins by the name of the first is refused, and told why; nothing is written into it.
func (f *zoneFaults) twoOfOneName(t *testing.T) {
	f.under(t, func() {
		twin := kube.On(f.mesh, "twin")
		twin.InstallIstioCRDs()
		edge := f.runEdge(twin.Machine, twin)
		if err := edge.Wait(); err == nil || !strings.Contains(edge.Log(), problem.ZoneTaken.Code) {
			t.Errorf("the second edge ended with %v; want %s in %s", err, problem.ZoneTaken.Code, edge.Log())
		}
		f.move(t)
		f.arrived(t)
		list, err := twin.Dynamic.Resource(virtualServices).Namespace("").List(t.Context(), metav1.ListOptions{})
		if err != nil || len(list.Items) > 0 {
			t.Errorf("in the second cluster: %d routes, %v", len(list.Items), err)
		}
	})
}

// skew is how far apart clocks may be.
const skew = 10 * time.Minute

// Whoever's clock is ten minutes behind accepts what hub, edges and agents show, because every certificate of theirs
// has been valid for longer. Stock istiod dates back by two minutes only, which is all that a cluster's pods allow for.
func (f *zoneFaults) clocksApart(t *testing.T) {
	hub, edge := f.mesh.Hub().Machine.IPv4, f.dc1.Edges[0].Machine.IPv4
	for what, at := range map[string]netip.AddrPort{
		"the hub's API": netip.AddrPortFrom(hub, 7443), "the hub's feed": netip.AddrPortFrom(hub, 7444),
		"the edge": netip.AddrPortFrom(edge, 15012), "a machine": netip.AddrPortFrom(f.reviews1.IPv4, 9080),
	} {
		if age := f.shown(t, at); age < skew {
			t.Errorf("what %s shows has been valid for %v only", what, age)
		}
	}
	pod := f.prod.WaitPod("store", "app=reviews")
	t.Logf("what a pod shows has been valid for %v", f.shown(t, netip.AddrPortFrom(pod.IPv4, 9080)))
}

// shown is for how long the youngest certificate that somebody shows has been valid.
func (f *zoneFaults) shown(t *testing.T, at netip.AddrPort) time.Duration {
	t.Helper()
	conn, err := f.mesh.Desk().DialContext(t.Context(), "tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	youngest := time.Duration(1 << 62)
	look := func(chain [][]byte, _ [][]*x509.Certificate) error {
		for _, der := range chain {
			certificate, err := x509.ParseCertificate(der)
			if err != nil {
				return err
			}
			youngest = min(youngest, time.Since(certificate.NotBefore))
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stranger := &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: look, NextProtos: []string{"istio", "h2"}}
	if err := tls.Client(conn, stranger).HandshakeContext(ctx); err != nil && youngest == 1<<62 {
		t.Fatalf("%s: %v", at, err) // one without a certificate may be refused afterwards
	}
	return youngest
}
