package hub

import (
	"context"
	"log/slog"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// admission lets edges in, and settles which key may use a token. Refusals are
// [problem.Error]s; the feed logs and counts them.
type admission struct {
	tokens           tokens
	root             *identity.Authority
	edgeTTL, zoneTTL time.Duration
	metrics          *metrics
	now              func() time.Time
	log              *slog.Logger
}

// Admit answers an edge: with a token when peer is nil, a renewal otherwise.
func (a *admission) Admit(ctx context.Context, request *feedpb.AdmitRequest, peer *identity.ID) (*feedpb.AdmitResponse, error) {
	if peer != nil {
		return a.renew(ctx, request, *peer)
	}
	token, err := identity.ParseToken(request.Token)
	if err != nil {
		return nil, err
	}
	if bad := validation.IsDNS1123Label(request.Edge); len(bad) > 0 {
		return nil, problem.IdentityRefused.Because("edge name %q: %s", request.Edge, bad[0])
	}
	key, err := keyOf(request.Csr)
	if err != nil {
		return nil, err
	}
	zone, err := a.spend(ctx, token, key, request.Cluster)
	if err != nil {
		return nil, err
	}
	a.admitted("admitted", zone, request.Edge)
	return a.sign(zone, request.Edge, request)
}

// spend uses an edge's token for a key, and returns the zone it leads to. The zone becomes that of a cluster, if the
// edge is of one.
func (a *admission) spend(ctx context.Context, token identity.Token, key, cluster string) (string, error) {
	check := func(t *v1alpha1.JoinToken) error {
		if !token.Proves(t.Spec.SecretSHA256) {
			return problem.TokenUnknown.Because("the secret of token %s is wrong", token.Name)
		}
		if t.Spec.Role != v1alpha1.JoinEdge {
			return problem.TokenForeign.Because("token %s is for a %s of service %s, not for an edge", t.Name, t.Spec.Role, t.Spec.Service)
		}
		if err := usable(t, key, a.now()); err != nil {
			return err
		}
		return a.tokens.claim(ctx, t.Spec.Zone, cluster)
	}
	t, err := a.tokens.use(ctx, token.Name, key, check)
	if err != nil {
		return "", err
	}
	return t.Spec.Zone, nil
}

// renew gives an edge fresh certificates for the identity that its old one proves.
func (a *admission) renew(ctx context.Context, request *feedpb.AdmitRequest, peer identity.ID) (*feedpb.AdmitResponse, error) {
	zone, name, ok := peer.AsEdge()
	if !ok || peer.TrustDomain != a.root.TrustDomain() {
		return nil, problem.IdentityRefused.Because("%s is no edge of this mesh", peer)
	}
	if request.Edge != "" && request.Edge != name {
		return nil, problem.IdentityRefused.Because("edge %s of zone %s asks to be edge %s", name, zone, request.Edge)
	}
	if err := a.zoneExists(ctx, zone); err != nil {
		return nil, err
	}
	a.admitted("renewed", zone, name)
	return a.sign(zone, name, request)
}

// Redeem marks a workload's token as used by a key; the edge has checked the secret.
func (a *admission) Redeem(ctx context.Context, peer identity.ID, request *feedpb.RedeemRequest) error {
	zone, name, ok := peer.AsEdge()
	if !ok {
		return problem.IdentityRefused.Because("%s is not an edge", peer)
	}
	if len(request.KeySha256) != 64 {
		return problem.IdentityRefused.Because("%q is no fingerprint of a key", request.KeySha256)
	}
	check := func(t *v1alpha1.JoinToken) error {
		if t.Spec.Role == v1alpha1.JoinEdge {
			return problem.TokenForeign.Because("token %s is for an edge, not for a workload", t.Name)
		}
		if t.Spec.Zone != zone {
			return problem.TokenForeign.Because("token %s is for zone %s, edge %s is of zone %s", t.Name, t.Spec.Zone, name, zone)
		}
		return usable(t, request.KeySha256, a.now())
	}
	if _, err := a.tokens.use(ctx, request.TokenName, request.KeySha256, check); err != nil {
		return err
	}
	a.admitted("redeemed", zone, name)
	return nil
}

func (a *admission) zoneExists(ctx context.Context, zone string) error {
	_, err := a.tokens.zone(ctx, zone)
	return err
}

// sign answers both certificate requests: the edge's own, and the zone's authority.
func (a *admission) sign(zone, name string, request *feedpb.AdmitRequest) (*feedpb.AdmitResponse, error) {
	own, err := keyOf(request.Csr)
	if err != nil {
		return nil, err
	}
	authority, err := keyOf(request.AuthorityCsr)
	if err != nil {
		return nil, err
	}
	if own == authority {
		return nil, problem.IdentityRefused.Because("edge %s asks for its own certificate and the zone's authority with one key", name)
	}
	response := &feedpb.AdmitResponse{Zone: zone, TrustDomain: a.root.TrustDomain()}
	for _, root := range a.root.Roots() {
		response.Roots = append(response.Roots, root.Raw)
	}
	id := identity.Edge(a.root.TrustDomain(), zone, name)
	if response.Certificates, err = a.root.Sign(request.Csr, id, a.edgeTTL, nil, nil); err != nil {
		return nil, err
	}
	response.AuthorityCertificates, err = a.root.SignAuthority(request.AuthorityCsr, zone, a.zoneTTL)
	return response, err
}

func (a *admission) admitted(what, zone, name string) {
	a.metrics.admissions.WithLabelValues(what).Inc()
	a.log.Info("hub: "+what, "zone", zone, "edge", name)
}

// keyOf is the fingerprint of the key a certificate request is for.
func keyOf(request []byte) (string, error) {
	key, err := identity.RequestKeySHA256(request)
	if err != nil {
		return "", problem.RequestInvalid.Because("%v", err)
	}
	return key, nil
}

// usable checks what holds for every token: that it is not past its time, and that no other key used it.
func usable(t *v1alpha1.JoinToken, key string, now time.Time) error {
	used := t.Status.KeySHA256
	switch {
	case used != "" && used != key:
		return problem.TokenUsed.Because("token %s was used by another key at %s", t.Name, t.Status.UsedAt.UTC().Format(time.RFC3339))
	case used == "" && !now.Before(t.Spec.Expires.Time):
		return problem.TokenExpired.Because("token %s expired at %s", t.Name, t.Spec.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// spent is the token as used by a key; ok is false when it is already.
func spent(t *v1alpha1.JoinToken, key string, now time.Time) (_ *v1alpha1.JoinToken, ok bool) {
	if t.Status.KeySHA256 == key {
		return t, false
	}
	t = t.DeepCopy()
	at := metav1.NewTime(now)
	t.Status.KeySHA256, t.Status.UsedAt = key, &at
	return t, true
}
