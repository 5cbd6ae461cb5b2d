package feed_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// configure says hello and returns the first error.
func configure(ctx context.Context, c feedpb.FeedClient, hello *feedpb.ConfigureRequest_Hello) error {
	stream, err := c.Configure(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(&feedpb.ConfigureRequest{Hello: hello})
	_, err = stream.Recv()
	return err
}

func report(ctx context.Context, c feedpb.FeedClient, first *feedpb.ReportRequest) error {
	stream, err := c.Report(ctx)
	if err != nil {
		return err
	}
	_ = stream.Send(first)
	_, err = stream.Recv()
	return err
}

func TestRefusals(t *testing.T) {
	h := newHub(t, feed.Limits{})
	check(t, h.Reset("dc1", 1, committed, []*feedpb.Resource{resource("secret", "1")}))
	check(t, h.Reset("dc2", 1, committed, nil))
	ours, other := h.peer(identity.Edge(domain, "dc1", "e1")), h.peer(identity.Edge(domain, "dc2", "e1"))
	workload, foreign := h.peer(identity.Workload(domain, "shop", "web")), peer{nil, h.root.Roots()}
	dc1 := &feedpb.ConfigureRequest_Hello{Protocol: 1, Zone: "dc1", Edge: "e1"}
	cases := map[string]struct {
		from   peer
		call   func(context.Context, feedpb.FeedClient) error
		code   codes.Code
		reason string
	}{
		"ConfigureOtherZone": {other, func(ctx context.Context, c feedpb.FeedClient) error { return configure(ctx, c, dc1) }, codes.PermissionDenied, "IdentityRefused"},
		"ConfigureOtherEdge": {ours, func(ctx context.Context, c feedpb.FeedClient) error {
			return configure(ctx, c, &feedpb.ConfigureRequest_Hello{Protocol: 1, Zone: "dc1", Edge: "e2"})
		}, codes.PermissionDenied, "IdentityRefused"},
		"ConfigureAsWorkload":   {workload, func(ctx context.Context, c feedpb.FeedClient) error { return configure(ctx, c, dc1) }, codes.PermissionDenied, "IdentityRefused"},
		"ConfigureAsNobody":     {foreign, func(ctx context.Context, c feedpb.FeedClient) error { return configure(ctx, c, dc1) }, codes.Unauthenticated, "Unauthenticated"},
		"ConfigureWithoutHello": {ours, func(ctx context.Context, c feedpb.FeedClient) error { return configure(ctx, c, nil) }, codes.InvalidArgument, "InvalidArgument"},
		"ConfigureNewerProtocol": {ours, func(ctx context.Context, c feedpb.FeedClient) error {
			return configure(ctx, c, &feedpb.ConfigureRequest_Hello{Protocol: 2, Zone: "dc1", Edge: "e1"})
		}, codes.FailedPrecondition, "FailedPrecondition"},
		"ReportForOtherZone": {other, func(ctx context.Context, c feedpb.FeedClient) error {
			return report(ctx, c, &feedpb.ReportRequest{Reset_: true, Hello: &feedpb.ReportRequest_Hello{Zone: "dc1", Edge: "e1"}})
		}, codes.PermissionDenied, "IdentityRefused"},
		"ReportIncomplete": {ours, func(ctx context.Context, c feedpb.FeedClient) error {
			return report(ctx, c, &feedpb.ReportRequest{Hello: &feedpb.ReportRequest_Hello{Zone: "dc1", Edge: "e1"}})
		}, codes.InvalidArgument, "InvalidArgument"},
		"RedeemAsWorkload": {workload, func(ctx context.Context, c feedpb.FeedClient) error {
			_, err := c.Redeem(ctx, &feedpb.RedeemRequest{TokenName: "t"})
			return err
		}, codes.PermissionDenied, "IdentityRefused"},
		"AdmitAsWorkload": {workload, func(ctx context.Context, c feedpb.FeedClient) error {
			_, err := c.Admit(ctx, &feedpb.AdmitRequest{})
			return err
		}, codes.PermissionDenied, "IdentityRefused"},
		"AdmitAsNobody": {foreign, func(ctx context.Context, c feedpb.FeedClient) error {
			_, err := c.Admit(ctx, &feedpb.AdmitRequest{})
			return err
		}, codes.InvalidArgument, "TokenMalformed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			var call string
			for _, prefix := range []string{"Configure", "Report", "Redeem", "Admit"} {
				if strings.HasPrefix(name, prefix) {
					call = prefix
				}
			}
			before := h.refused(call, c.reason)
			if err := c.call(ctx, h.dial(c.from)); status.Code(err) != c.code {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if got := h.refused(call, c.reason); got != before+1 {
				t.Errorf("counted %v refusals of %s for %s, want one more than %v", got, call, c.reason, before)
			}
		})
	}
}

// refused reads the counter of refusals.
func (h *hub) refused(call, reason string) float64 {
	families, err := h.metrics.Gather()
	check(h.t, err)
	for _, f := range families {
		if f.GetName() != "isthmus_feed_refused_total" {
			continue
		}
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == call && m.Label[1].GetValue() == reason {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

func TestZoneKeyCannotPoseAsEdge(t *testing.T) {
	h := newHub(t, feed.Limits{})
	key, err := identity.NewKey()
	check(t, err)
	csr, err := identity.NewRequest(key)
	check(t, err)
	ders, err := h.root.SignAuthority(csr, "dc2", time.Hour)
	check(t, err)
	chain, err := identity.ParseCertificates(ders)
	check(t, err)
	stolen, err := identity.NewAuthority(domain, key, chain, h.root.Roots(), time.Now)
	check(t, err)
	ders, err = stolen.Sign(csr, identity.Edge(domain, "dc1", "e1"), time.Hour, nil, nil)
	check(t, err)
	cert, err := identity.Chain(key, ders)
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = configure(ctx, h.dial(peer{cert, h.root.Roots()}), &feedpb.ConfigureRequest_Hello{Protocol: 1, Zone: "dc1", Edge: "e1"})
	if status.Code(err) != codes.Unavailable {
		t.Errorf("a zone's authority signed itself an edge of another zone and got %v", err)
	}
}

func TestAdmitAndRedeemCarryTheProblem(t *testing.T) {
	h := newHub(t, feed.Limits{})
	h.admit = func(r *feedpb.AdmitRequest, id *identity.ID) (*feedpb.AdmitResponse, error) {
		if id == nil && r.Token == "used" {
			return nil, problem.TokenUsed.Because("token dc1-edge")
		}
		return &feedpb.AdmitResponse{Zone: "dc1"}, nil
	}
	h.redeem = func(id identity.ID, r *feedpb.RedeemRequest) error {
		if r.KeySha256 != "first" {
			return problem.TokenUsed.Because("token %s, asked by %s", r.TokenName, id)
		}
		return nil
	}
	pinned := identity.PinnedTLS(identity.Pin(h.root.Certificate()), time.Now, func(identity.ID) error { return nil })
	dead := "127.0.0.1:1" // nothing listens there
	if _, err := feed.Admit(t.Context(), []string{dead, h.address}, pinned, &feedpb.AdmitRequest{Token: "used"}); err == nil || !strings.Contains(err.Error(), problem.TokenUsed.Code) {
		t.Errorf("Admit: %v, want %s", err, problem.TokenUsed.Code)
	}
	if r, err := feed.Admit(t.Context(), []string{dead, h.address}, pinned, &feedpb.AdmitRequest{Token: "good"}); err != nil || r.Zone != "dc1" {
		t.Errorf("Admit: %v, %v", r, err)
	}
	e := h.edge("e1", nil)
	eventually(t, "connection", func() bool {
		return e.Redeem(t.Context(), &feedpb.RedeemRequest{TokenName: "t", KeySha256: "first"}) == nil
	})
	err := e.Redeem(t.Context(), &feedpb.RedeemRequest{TokenName: "t", KeySha256: "second"})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), problem.TokenUsed.Code) {
		t.Errorf("Redeem: %v, want %s", err, problem.TokenUsed.Code)
	}
	if n := testutil.CollectAndCount(h.metrics); n == 0 {
		t.Error("no metrics")
	}
}

func TestAskWithoutConnection(t *testing.T) {
	c := feed.NewClient(feed.ClientConfig{Addresses: []string{"127.0.0.1:1"}, TLS: func() *tls.Config { return nil }})
	if err := c.Redeem(t.Context(), &feedpb.RedeemRequest{}); err != feed.ErrDisconnected {
		t.Errorf("got %v, want ErrDisconnected", err)
	}
}
