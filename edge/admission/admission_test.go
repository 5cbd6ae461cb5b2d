package admission_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/admission"
	. "github.com/isthmus-mesh/isthmus/edge/internal/zonetest"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a served admission desk of dc1 and the hub behind it.
type desk struct {
	*Zone
	t       *testing.T
	dir     string
	address string
	tokens  *admission.Tokens
	ledger  *journal.Journal
	metrics *prometheus.Registry

	mu  sync.Mutex
	hub func(*feedpb.RedeemRequest) error // nil: away
}

// service is what gRPC serves.
type service struct {
	machinepb.UnimplementedMachineServer
	*admission.Desk
}

func (s service) Join(ctx context.Context, r *machinepb.JoinRequest) (*machinepb.JoinResponse, error) {
	return s.Desk.Join(ctx, r)
}
func (s service) Renew(ctx context.Context, r *machinepb.RenewRequest) (*machinepb.JoinResponse, error) {
	return s.Desk.Renew(ctx, r)
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{Zone: New(t), t: t, dir: t.TempDir()}
	d.start()
	return d
}

// start begins a new process, so to speak: only the ledger's file is old.
func (d *desk) start() {
	d.t.Helper()
	d.tokens, d.metrics = admission.NewTokens(), prometheus.NewRegistry()
	var err error
	d.ledger, err = journal.Open(filepath.Join(d.dir, "tokens"))
	Check(d.t, err)
	d.t.Cleanup(func() { d.ledger.Close() })
	desk := admission.New(admission.Config{
		Zone: admission.Zone{Name: "dc1", TrustDomain: Domain}, Authority: func() *identity.Authority { return d.Authority },
		Tokens: d.tokens, Ledger: d.ledger, Redeem: d.redeem, Edges: func() []string { return []string{"e1:15012"} },
		TTL: 100 * time.Hour, Now: time.Now, Refusals: admission.NewRefusals(Log(d.t), d.metrics), Log: Log(d.t),
	})
	d.address = d.Serve(func(s *grpc.Server) { machinepb.RegisterMachineServer(s, service{Desk: desk}) })
}

func (d *desk) redeem(_ context.Context, r *feedpb.RedeemRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hub == nil {
		return feed.ErrDisconnected
	}
	return d.hub(r)
}

// token makes a token and its copy at the edge; change may alter the copy.
func (d *desk) token(name string, change func(*feedpb.Token)) identity.Token {
	d.t.Helper()
	token := identity.NewToken(name, []string{"e1:15012"}, d.Root.Certificate())
	entry := &feedpb.Token{Name: name, SecretSha256: token.SecretSHA256(), Expires: timestamppb.New(time.Now().Add(time.Hour)),
		Role: admission.RoleWorkload, Workspace: "shop", Service: "reviews"}
	if change != nil {
		change(entry)
	}
	body, err := anypb.New(entry)
	Check(d.t, err)
	Check(d.t, d.tokens.Put(&feedpb.Resource{Name: "JoinToken//" + name, Version: "1", Body: body}))
	return token
}

func (d *desk) join(text string, key crypto.Signer) (*machinepb.JoinResponse, error) {
	d.t.Helper()
	return machinepb.NewMachineClient(d.Dial(d.address, d.Nobody())).Join(d.t.Context(),
		&machinepb.JoinRequest{Token: text, Csr: Request(d.t, key)})
}

func (d *desk) refused(call, reason string) (n float64) {
	families, err := d.metrics.Gather()
	Check(d.t, err)
	for _, f := range families {
		for _, m := range f.Metric {
			if m.Label[0].GetValue() == call && m.Label[1].GetValue() == reason {
				n = m.Counter.GetValue()
			}
		}
	}
	return n
}

func TestJoin(t *testing.T) {
	d, key := newDesk(t), Key(t)
	r, err := d.join(d.token("t", nil).String(), key)
	Check(t, err)
	if r.Workspace != "shop" || r.Service != "reviews" || r.Role != admission.RoleWorkload || r.Zone != "dc1" || r.Edges[0] != "e1:15012" || len(r.Roots) != 1 {
		t.Errorf("answer %v", r)
	}
	leaf := d.With(key, r.Certificates).Cert.Leaf
	if id, err := identity.OfCertificate(leaf); err != nil || id.String() != r.SpiffeId || r.SpiffeId != "spiffe://isthmus.local/ns/shop/sa/reviews" {
		t.Errorf("certificate of %v, %v; answer says %s", id, err, r.SpiffeId)
	}
	if life := time.Until(leaf.NotAfter); life > admission.MaxTTL {
		t.Errorf("certificate lives %v, more than %v", life, admission.MaxTTL)
	}
}

func TestJoinIsRefused(t *testing.T) {
	d := newDesk(t)
	good := d.token("good", nil)
	tampered := good
	tampered.Secret = identity.NewToken("x", nil, d.Root.Certificate()).Secret
	cases := map[string]struct {
		text string
		want problem.Problem
	}{
		"Malformed":     {"isthmus1.garbage", problem.TokenMalformed},
		"Tampered":      {tampered.String(), problem.TokenUnknown},
		"OtherZone":     {identity.NewToken("of-dc2", []string{"x:1"}, d.Root.Certificate()).String(), problem.TokenUnknown},
		"Expired":       {d.token("late", func(t *feedpb.Token) { t.Expires = timestamppb.New(time.Now().Add(-time.Second)) }).String(), problem.TokenExpired},
		"WrongRole":     {d.token("edge", func(t *feedpb.Token) { t.Role = "edge" }).String(), problem.TokenForeign},
		"UsedElsewhere": {d.token("used", func(t *feedpb.Token) { t.KeySha256 = strings.Repeat("0", 64) }).String(), problem.TokenUsed},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			before := d.refused("Join", c.want.Reason)
			_, err := d.join(c.text, Key(t))
			if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), c.want.Code) {
				t.Errorf("got %v, want PermissionDenied with %s", err, c.want.Code)
			}
			if d.refused("Join", c.want.Reason) != before+1 {
				t.Errorf("the refusal is not counted as %s", c.want.Reason)
			}
		})
	}
	t.Run("BadRequest", func(t *testing.T) {
		_, err := machinepb.NewMachineClient(d.Dial(d.address, d.Nobody())).Join(t.Context(), &machinepb.JoinRequest{Token: good.String(), Csr: []byte("x")})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), problem.RequestInvalid.Code) {
			t.Errorf("got %v, want InvalidArgument with %s", err, problem.RequestInvalid.Code)
		}
	})
	if _, err := d.join(good.String(), Key(t)); err != nil {
		t.Errorf("the refusals used up a good token: %v", err)
	}
}

func TestTokenIsSingleUse(t *testing.T) {
	d, key := newDesk(t), Key(t)
	token := d.token("t", nil)
	for range 2 { // the same key may ask again: its answer may have been lost
		_, err := d.join(token.String(), key)
		Check(t, err)
	}
	wantUsed := func() {
		t.Helper()
		if _, err := d.join(token.String(), Key(t)); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), problem.TokenUsed.Code) {
			t.Errorf("a second key got %v, want %s", err, problem.TokenUsed.Code)
		}
	}
	wantUsed()
	Check(t, d.ledger.Close())
	d.start() // restarted while the hub is away
	body, err := anypb.New(&feedpb.Token{Name: "t", SecretSha256: token.SecretSHA256(), Expires: timestamppb.New(time.Now().Add(time.Hour)),
		Role: admission.RoleWorkload, Workspace: "shop", Service: "reviews"})
	Check(t, err)
	Check(t, d.tokens.Put(&feedpb.Resource{Name: "JoinToken//t", Body: body}))
	wantUsed()
	_, err = d.join(token.String(), key)
	Check(t, err)
}

func TestTwoKeysAtTheSameInstant(t *testing.T) {
	d := newDesk(t)
	for round := range 10 {
		token := d.token(string(rune('a'+round)), nil).String()
		var mu sync.Mutex
		var joined, used int
		var done sync.WaitGroup
		start := make(chan struct{})
		for range 8 {
			key := Key(t)
			done.Go(func() {
				<-start
				_, err := d.join(token, key)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					joined++
				case strings.Contains(err.Error(), problem.TokenUsed.Code):
					used++
				}
			})
		}
		close(start)
		done.Wait()
		if joined != 1 || used != 7 {
			t.Fatalf("%d keys joined with one token and %d were refused, want 1 and 7", joined, used)
		}
	}
}

func TestHubArbitrates(t *testing.T) {
	d, key := newDesk(t), Key(t)
	token := d.token("t", nil).String()
	d.hub = func(r *feedpb.RedeemRequest) error {
		return status.Error(codes.PermissionDenied, problem.TokenUsed.Because("token %s", r.TokenName).Error())
	}
	if _, err := d.join(token, key); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), problem.TokenUsed.Code) {
		t.Fatalf("got %v although the hub refuses", err)
	}
	if n := d.refused("Join", problem.TokenUsed.Reason); n != 1 {
		t.Errorf("the hub's refusal is counted %v times as %s", n, problem.TokenUsed.Reason)
	}
	var asked *feedpb.RedeemRequest
	d.mu.Lock()
	d.hub = func(r *feedpb.RedeemRequest) error { asked = r; return nil }
	d.mu.Unlock()
	other := Key(t)
	if _, err := d.join(token, other); err != nil {
		t.Fatalf("a key the hub allows was refused, because another was before: %v", err)
	}
	want, err := identity.RequestKeySHA256(Request(t, other))
	Check(t, err)
	if asked.TokenName != "t" || asked.KeySha256 != want {
		t.Errorf("asked the hub for %v", asked)
	}
}

func TestTokenMadeJustNow(t *testing.T) {
	d := newDesk(t)
	token := identity.NewToken("t", []string{"e1:1"}, d.Root.Certificate())
	joined := make(chan error)
	go func() { _, err := d.join(token.String(), Key(t)); joined <- err }()
	d.token("unrelated", nil)
	body, err := anypb.New(&feedpb.Token{Name: "t", SecretSha256: token.SecretSHA256(), Expires: timestamppb.New(time.Now().Add(time.Hour)),
		Role: admission.RoleGateway, Workspace: "shop", Service: "ingress"})
	Check(t, err)
	Check(t, d.tokens.Put(&feedpb.Resource{Name: "JoinToken//t", Body: body}))
	Check(t, <-joined)
	d.tokens.Remove("JoinToken//t")
	if _, err := d.join(token.String(), Key(t)); !strings.Contains(err.Error(), problem.TokenUnknown.Code) {
		t.Errorf("a deleted token: %v, want %s", err, problem.TokenUnknown.Code)
	}
}

// request asks for the names of a template.
func request(t *testing.T, key crypto.Signer, names x509.CertificateRequest) []byte {
	t.Helper()
	csr, err := x509.CreateCertificateRequest(rand.Reader, &names, key)
	Check(t, err)
	return csr
}

func TestRequestsForOthersAreRefused(t *testing.T) {
	d, key := newDesk(t), Key(t)
	me := d.Workload("shop", "reviews", "workload.role.isthmus.dev")
	token := d.token("t", nil).String()
	for what, csr := range map[string][]byte{
		"service": request(t, key, x509.CertificateRequest{URIs: []*url.URL{identity.Workload(Domain, "bank", "vault").URI()}}),
		"role":    request(t, key, x509.CertificateRequest{DNSNames: []string{"gateway.role.isthmus.dev"}}),
		"address": request(t, key, x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)}}),
	} {
		_, renewed := machinepb.NewMachineClient(d.Dial(d.address, me)).Renew(t.Context(), &machinepb.RenewRequest{Csr: csr})
		_, joined := machinepb.NewMachineClient(d.Dial(d.address, d.Nobody())).Join(t.Context(), &machinepb.JoinRequest{Token: token, Csr: csr})
		for _, err := range []error{renewed, joined} {
			if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), problem.IdentityRefused.Code) {
				t.Errorf("another %s: got %v, want %s", what, err, problem.IdentityRefused.Code)
			}
		}
	}
	own := request(t, key, x509.CertificateRequest{URIs: []*url.URL{identity.Workload(Domain, "shop", "reviews").URI()}})
	_, err := machinepb.NewMachineClient(d.Dial(d.address, me)).Renew(t.Context(), &machinepb.RenewRequest{Csr: own})
	Check(t, err)
	_, err = d.join(token, Key(t)) // what was refused has not used it up
	Check(t, err)
}

func TestRoleSurvivesRenewal(t *testing.T) {
	d := newDesk(t)
	key := Key(t)
	r, err := d.join(d.token("t", func(t *feedpb.Token) { t.Role = admission.RoleGateway }).String(), key)
	Check(t, err)
	for range 2 {
		r, err = machinepb.NewMachineClient(d.Dial(d.address, d.With(key, r.Certificates))).Renew(t.Context(), &machinepb.RenewRequest{Csr: Request(t, key)})
		Check(t, err)
		if r.Role != admission.RoleGateway {
			t.Fatalf("a gateway became a %s", r.Role)
		}
	}
}

func TestRenewIsRefused(t *testing.T) {
	d := newDesk(t)
	cases := map[string]struct {
		from *Peer
		code codes.Code
		want problem.Problem
	}{
		"Nobody":    {d.Nobody(), codes.Unauthenticated, problem.PeerUntrusted},
		"OtherZone": {d.Other("dc2").Workload("shop", "reviews"), codes.PermissionDenied, problem.WorkloadUnknown},
		"Edge":      {d.Edge("dc2", "e1"), codes.PermissionDenied, problem.IdentityRefused},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := machinepb.NewMachineClient(d.Dial(d.address, c.from)).Renew(t.Context(), &machinepb.RenewRequest{Csr: Request(t, Key(t))})
			if status.Code(err) != c.code || !strings.Contains(err.Error(), c.want.Code) {
				t.Errorf("got %v, want %s with %s", err, c.code, c.want.Code)
			}
		})
	}
}
