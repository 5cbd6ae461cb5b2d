package hub_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

func TestAdmissionRefuses(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	tampered := w.token("tampered", "role: edge, zone: dc1")
	tampered.Secret = strings.Repeat("A", len(tampered.Secret))
	unknown := identity.NewToken("nobody", w.info.FeedAddresses, w.info.Root)
	odd := identity.NewToken("../zones/dc1", w.info.FeedAddresses, w.info.Root)
	good := w.token("good", "role: edge, zone: dc1")
	cases := map[string]struct {
		token, edge string
		want        problem.Problem
		code        codes.Code
	}{
		"Cut":      {good.String()[:40], "edge-1", problem.TokenMalformed, codes.InvalidArgument},
		"Tampered": {tampered.String(), "edge-1", problem.TokenUnknown, codes.PermissionDenied},
		"Unknown":  {unknown.String(), "edge-1", problem.TokenUnknown, codes.PermissionDenied},
		"OddName":  {odd.String(), "edge-1", problem.TokenUnknown, codes.PermissionDenied},
		"Expired":  {w.token("expired", "role: edge, zone: dc1, expires: '2020-01-01T00:00:00Z'").String(), "edge-1", problem.TokenExpired, codes.PermissionDenied},
		"Workload": {w.token("workload", "role: workload, zone: dc1, workspace: shop, service: reviews").String(), "edge-1", problem.TokenForeign, codes.PermissionDenied},
		"NoZone":   {w.token("nozone", "role: edge, zone: nowhere").String(), "edge-1", problem.IdentityRefused, codes.PermissionDenied},
		"EdgeName": {good.String(), "edge/../../zone/dc2", problem.IdentityRefused, codes.PermissionDenied},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := w.counter("isthmus_feed_refused_total", c.want.Reason)
			key, err := identity.NewKey()
			if err != nil {
				t.Fatal(err)
			}
			_, err = admitWith(w, c.token, c.edge, key)
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want.Code) {
				t.Errorf("got %v, want %v with %s", err, c.code, c.want.Code)
			}
			if got := w.counter("isthmus_feed_refused_total", c.want.Reason) - before; got != 1 {
				t.Errorf("counted %v times, want once", got)
			}
		})
	}
	if _, _, err := admit(w, good, "edge-1"); err != nil {
		t.Errorf("refusals used the good token up: %v", err)
	}
}

// A zone is one cluster. Of another one's edge nothing is left, not even a used token, and somebody can decide that
// the other one takes its place.
func TestZoneIsOneCluster(t *testing.T) {
	w := newWorld(t)
	w.apply(`{apiVersion: isthmus.dev/v1alpha1, kind: Zone, metadata: {name: prod-1}, spec: {type: kubernetes}}`)
	from := func(cluster, edge, token string) error {
		_, err := feed.Admit(t.Context(), w.info.FeedAddresses, identity.PinnedTLS(identity.Pin(w.info.Root), w.clock.now, onlyHub), &feedpb.AdmitRequest{
			Token: token, Edge: edge, Csr: request(w, nil), AuthorityCsr: request(w, nil), Cluster: cluster,
		})
		return err
	}
	token := func(name string) string { return w.token(name, "role: edge, zone: prod-1").String() }
	waiting := token("waiting")
	for _, c := range []struct{ name, cluster, token, refused string }{
		{"TooLong", strings.Repeat("x", 65), waiting, problem.RequestInvalid.Code},
		{"First", "uid-1", token("first"), ""},
		{"Standby", "uid-1", token("standby"), ""},
		{"Other", "uid-2", waiting, problem.ZoneTaken.Code},
	} {
		err := from(c.cluster, "edge", c.token)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.refused)
		}
	}
	w.apply(`{apiVersion: isthmus.dev/v1alpha1, kind: Zone, metadata: {name: prod-1, annotations: {isthmus.dev/cluster: uid-2}}, spec: {type: kubernetes}}`)
	if err := from("uid-2", "edge", waiting); err != nil {
		t.Errorf("the cluster that took the place: %v", err)
	}
}

func TestTokenIsForOneKey(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	token := w.token("once", "role: edge, zone: dc1")
	_, key, err := admit(w, token, "edge-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admitWith(w, token.String(), "edge-1", key); err != nil {
		t.Errorf("the same key may not repeat: %v", err)
	}
	if _, _, err := admit(w, token, "edge-2"); err == nil || !strings.Contains(err.Error(), problem.TokenUsed.Code) {
		t.Errorf("another key: %v, want %s", err, problem.TokenUsed.Code)
	}
	w.clock.advance(2 * time.Hour)
	if _, err := admitWith(w, token.String(), "edge-1", key); err != nil {
		t.Errorf("the key that used the token may not repeat after its time: %v", err)
	}
}

func TestOfKeysAtTheSameInstantOneWins(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	for round := range 5 {
		token := w.token("race-"+string(rune('a'+round)), "role: edge, zone: dc1")
		if won, refused := race(w, token); won != 1 || refused != 7 {
			t.Errorf("%d keys were admitted and %d refused, want 1 and 7", won, refused)
		}
	}
}

// race presents one token with eight keys at once.
func race(w *world, token identity.Token) (won, refused int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := make(chan struct{})
	for range 8 {
		all.Go(func() {
			<-begin
			_, _, err := admit(w, token, "edge-1")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if strings.Contains(err.Error(), problem.TokenUsed.Code) {
				refused++
			} else {
				w.t.Error(err)
			}
		})
	}
	close(begin)
	all.Wait()
	return won, refused
}

func TestRedeem(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	w.apply("{apiVersion: isthmus.dev/v1alpha1, kind: Zone, metadata: {name: dc2}, spec: {type: machines}}")
	e := w.join("edge-1")
	spec := "role: workload, workspace: shop, service: reviews, zone: "
	w.token("mine", spec+"dc1")
	w.token("foreign", spec+"dc2")
	w.token("late", spec+"dc1, expires: '2020-01-01T00:00:00Z'")
	w.token("edges", "role: edge, zone: dc1")
	ask := func(token, key string) error {
		var err error
		w.eventually("the edge is connected", func() error {
			if err = e.client.Redeem(context.Background(), &feedpb.RedeemRequest{TokenName: token, KeySha256: key}); status.Code(err) == codes.Unknown {
				return err
			}
			return nil
		})
		return err
	}
	first, second := strings.Repeat("1", 64), strings.Repeat("2", 64)
	steps := []struct {
		name, token, key, want string
	}{
		{"Mine", "mine", first, ""},
		{"Again", "mine", first, ""},
		{"OtherKey", "mine", second, problem.TokenUsed.Code},
		{"OtherZone", "foreign", first, problem.TokenForeign.Code},
		{"Expired", "late", first, problem.TokenExpired.Code},
		{"Unknown", "nobody", first, problem.TokenUnknown.Code},
		{"Edge", "edges", first, problem.TokenForeign.Code},
		{"NoKey", "mine", "", problem.IdentityRefused.Code},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			err := ask(s.token, s.key)
			if s.want == "" && err != nil || s.want != "" && (err == nil || !strings.Contains(err.Error(), s.want)) {
				t.Errorf("got %v, want %q", err, s.want)
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	e := w.join("edge-1")
	w.clock.advance(20 * 24 * time.Hour)
	response, err := e.renew("edge-1")
	if err != nil {
		t.Fatal(err)
	}
	chain, err := identity.ParseCertificates(response.Certificates)
	if err != nil {
		t.Fatal(err)
	}
	id, err := identity.OfCertificate(chain[0])
	if err != nil || id != identity.Edge("isthmus.local", "dc1", "edge-1") {
		t.Errorf("renewed identity is %v (%v)", id, err)
	}
	if !chain[0].NotAfter.After(e.own.Leaf.NotAfter) {
		t.Errorf("renewed until %v, was %v", chain[0].NotAfter, e.own.Leaf.NotAfter)
	}
	if _, err := e.renew("edge-2"); err == nil || !strings.Contains(err.Error(), problem.IdentityRefused.Code) {
		t.Errorf("another edge's name: %v, want %s", err, problem.IdentityRefused.Code)
	}
}

// renew asks for certificates over the edge's connection, as soon as there is one.
func (e *edge) renew(name string) (response *feedpb.AdmitResponse, err error) {
	e.w.t.Helper()
	e.w.eventually("the edge can ask", func() error {
		response, err = e.client.Admit(context.Background(), &feedpb.AdmitRequest{Edge: name, Csr: request(e.w, nil), AuthorityCsr: request(e.w, nil)})
		if errors.Is(err, feed.ErrDisconnected) {
			return err
		}
		return nil
	})
	return response, err
}
