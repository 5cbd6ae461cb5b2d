// Package admission lets workloads into a zone: it exchanges join tokens for certificates, and
// certificates for newer ones.
//
// A token is used up by the first key that presents it, for this edge by its own ledger, for the
// zone's other edges by the hub, which is asked when it can be. A key may present its token again, so
// that a join whose answer was lost can be repeated. Who a workload is comes from its token, later
// from its certificate, never from its request.
//
// A [Desk] may be used from any goroutine.
package admission

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/journal"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// MaxTTL is the longest life of a workload's certificate.
const MaxTTL = 24 * time.Hour

// hubPatience is how long the hub may take to say whether a token is used.
const hubPatience = 3 * time.Second

// Config is what a [Desk] needs; all fields are required.
type Config struct {
	Zone
	// Authority signs; it is asked each time, because it is renewed.
	Authority func() *identity.Authority
	Tokens    *Tokens
	// Ledger is the file of used tokens.
	Ledger *journal.Journal
	// Redeem asks the hub; see [feed.Client.Redeem].
	Redeem func(context.Context, *feedpb.RedeemRequest) error
	// Edges are the addresses of the zone's edges.
	Edges func() []string
	// TTL of certificates; not more than [MaxTTL] counts.
	TTL      time.Duration
	Now      func() time.Time
	Refusals *Refusals
	Log      *slog.Logger
}

// Desk is the Join and Renew of [machinepb.MachineServer].
type Desk struct {
	config Config
	ledger *ledger
}

// New makes a desk.
func New(config Config) *Desk {
	config.TTL = min(config.TTL, MaxTTL)
	return &Desk{config: config, ledger: newLedger(config.Ledger)}
}

// Join exchanges a token for a certificate.
func (d *Desk) Join(ctx context.Context, request *machinepb.JoinRequest) (*machinepb.JoinResponse, error) {
	response, err := d.join(ctx, request)
	if err != nil {
		return nil, d.config.Refusals.Status(ctx, "Join", err)
	}
	d.config.Log.Info("workload joined", "id", response.SpiffeId, "role", response.Role)
	return response, nil
}

// Renew exchanges the caller's certificate for a newer one.
func (d *Desk) Renew(ctx context.Context, request *machinepb.RenewRequest) (*machinepb.JoinResponse, error) {
	response, err := d.renew(ctx, request.Csr)
	if err != nil {
		return nil, d.config.Refusals.Status(ctx, "Renew", err)
	}
	return response, nil
}

func (d *Desk) renew(ctx context.Context, csr []byte) (*machinepb.JoinResponse, error) {
	caller, err := d.config.Caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := honest(csr, caller.ID); err != nil {
		return nil, err
	}
	return d.sign(caller, csr)
}

func (d *Desk) join(ctx context.Context, request *machinepb.JoinRequest) (*machinepb.JoinResponse, error) {
	key, err := identity.RequestKeySHA256(request.Csr)
	if err != nil {
		return nil, problem.RequestInvalid.Because("%v", err)
	}
	token, err := d.token(ctx, request.Token)
	if err != nil {
		return nil, err
	}
	id := identity.Workload(d.config.TrustDomain, token.Workspace, token.Service)
	if err := honest(request.Csr, id); err != nil {
		return nil, err
	}
	if err := d.redeem(ctx, token, key); err != nil {
		return nil, err
	}
	return d.sign(Caller{id, token.Workspace, token.Service, token.Role}, request.Csr)
}

// honest refuses a request that names anybody but who asks. The name would not be signed anyway, but whoever tries
// is told, and seen.
func honest(csr []byte, who identity.ID) error {
	names, err := identity.RequestNames(csr)
	if err != nil {
		return problem.RequestInvalid.Because("%v", err)
	}
	for _, name := range names {
		if name != who.String() {
			return problem.IdentityRefused.Because("%s asks for a certificate of %s", who, name)
		}
	}
	return nil
}

// token finds the zone's copy of a token and checks everything that does not depend on the key.
func (d *Desk) token(ctx context.Context, text string) (*feedpb.Token, error) {
	presented, err := identity.ParseToken(text)
	if err != nil {
		return nil, err
	}
	token := d.config.Tokens.find(ctx, presented.Name)
	switch {
	case token == nil:
		return nil, problem.TokenUnknown.Because("zone %s has no token %q; it may be another zone's, or deleted", d.config.Name, presented.Name)
	case !presented.Proves(token.SecretSha256):
		return nil, problem.TokenUnknown.Because("the secret of token %q is wrong", presented.Name)
	case !d.config.Now().Before(token.Expires.AsTime()):
		return nil, problem.TokenExpired.Because("token %q expired %s", token.Name, token.Expires.AsTime().Format(time.RFC3339))
	case token.Role != RoleWorkload && token.Role != RoleGateway:
		return nil, problem.TokenForeign.Because("token %q is for the role %q", token.Name, token.Role)
	}
	return token, nil
}

// redeem binds the token to the key: here first, so that two keys at the same instant cannot both
// have it, then at the hub.
func (d *Desk) redeem(ctx context.Context, token *feedpb.Token, key string) error {
	if used := token.KeySha256; used != "" && used != key {
		return problem.TokenUsed.Because("token %q", token.Name)
	}
	ours, fresh, unsaved := d.ledger.claim(token.Name, key)
	if !ours {
		return problem.TokenUsed.Because("token %q", token.Name)
	}
	err := d.askHub(ctx, token.Name, key)
	switch {
	case err == nil || token.KeySha256 == key:
		return nil
	case away(err) && unsaved == nil:
		return nil
	case away(err):
		err = problem.StateNotSaved.Because("token %q cannot be marked as used while the hub is away: %v", token.Name, unsaved)
	}
	if fresh {
		if err := d.ledger.release(token.Name); err != nil {
			d.config.Log.Error("a refused token stays bound to the refused key after a restart", "token", token.Name, "err", err)
		}
	}
	return err
}

func (d *Desk) askHub(ctx context.Context, token, key string) error {
	ctx, cancel := context.WithTimeout(ctx, hubPatience)
	defer cancel()
	err := d.config.Redeem(ctx, &feedpb.RedeemRequest{TokenName: token, KeySha256: key})
	if refusal := problem.Parse(status.Convert(err).Message()); refusal != nil {
		return refusal // counted by its reason, as the edge's own
	}
	return err
}

// away tells whether the hub said nothing, as opposed to no.
func away(err error) bool {
	code := status.Code(err)
	return errors.Is(err, feed.ErrDisconnected) || code == codes.DeadlineExceeded || code == codes.Unavailable
}

func (d *Desk) sign(who Caller, csr []byte) (*machinepb.JoinResponse, error) {
	authority := d.config.Authority()
	certificates, err := authority.Sign(csr, who.ID, d.config.TTL, []string{who.Role + roleSuffix}, nil)
	if err != nil {
		return nil, problem.RequestInvalid.Because("%v", err)
	}
	response := &machinepb.JoinResponse{
		Certificates: certificates, SpiffeId: who.ID.String(), Zone: d.config.Name,
		Workspace: who.Workspace, Service: who.Service, Role: who.Role, Edges: d.config.Edges(),
	}
	for _, root := range authority.Roots() {
		response.Roots = append(response.Roots, root.Raw)
	}
	return response, nil
}
