package meshtest

import (
	"strings"
	"testing"
)

// The ground of every story: machines that are not in a mesh speak plaintext, and the test can tell.
func TestShopWithoutAMesh(t *testing.T) {
	w := New(t)
	details, web := w.Machine("details1"), w.Machine("web1")
	w.LAN.Name("details", details.IPv4)
	capture := w.LAN.Capture()
	details.Serve("details")
	web.Serve("web", "--details=http://details:9080")
	tally := Load{URL: "http://127.0.0.1:9080/", Dial: web.DialContext}.Send(t.Context(), 20)
	tally.MustLoseNothing(t)
	if tally.ByHost("details", "details1") != 20 {
		t.Error(tally)
	}
	if callers := tally.Callers("details"); strings.Join(callers, ",") != "" {
		t.Errorf("identities %q without a mesh", callers)
	}
	if flows := capture.Saw("Walden"); len(flows) == 0 || flows[0].TLS() {
		t.Errorf("the plaintext was not seen on the wire: %v", flows)
	}
}

// A hub, a zone and two machines: the smallest mesh, by the three commands a user types.
func TestSmallestMesh(t *testing.T) {
	w := New(t)
	zone := w.Zone("dc1")
	w.Workspace("shop")
	capture := w.LAN.Capture()
	details, web := w.Machine("details1"), w.Machine("web1")
	details.Serve("details")
	web.Serve("web", "--details=http://details:9080")
	details.Join(zone.Token("shop", "details"), "--port=9080=http")
	web.Join(zone.Token("shop", "web"), "--port=9080=http")
	load := Load{URL: "http://127.0.0.1:9080/", Dial: web.DialContext}
	Eventually(t, "web reaches details by name", func() error {
		_, err := web.Get("http://details:9080/")
		return err
	})
	tally := load.Send(t.Context(), 50)
	tally.MustLoseNothing(t)
	if got := strings.Join(tally.Callers("details"), ","); got != "spiffe://isthmus.local/ns/shop/sa/web" {
		t.Errorf("details saw callers %q", got)
	}
	if flows := capture.Saw("Walden"); len(flows) > 0 {
		t.Errorf("plaintext on the wire: %v to %v", flows[0].From, flows[0].To)
	}
	stranger := w.Machine("stranger")
	if out, err := stranger.Get("http://" + details.IPv4.String() + ":9080/"); err == nil {
		t.Errorf("plaintext from outside the mesh was answered: %s", out)
	}
}
