package admission

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Roles that a token can give, and the only ones in a certificate.
const (
	RoleWorkload = "workload"
	RoleGateway  = "gateway"
)

// roleSuffix makes a DNS name of a role. It is part of a certificate so that each edge of the zone
// knows a workload's role, whichever of them admitted it.
const roleSuffix = ".role.isthmus.dev"

// Caller is an authenticated workload.
type Caller struct {
	ID        identity.ID
	Workspace string
	Service   string
	// Role is [RoleWorkload] or [RoleGateway].
	Role string
}

// Zone is where callers must come from.
type Zone struct{ Name, TrustDomain string }

// Caller returns the workload that makes a call, by the certificate of its connection. It refuses
// whoever has none, is no workload or belongs to another zone.
func (z Zone) Caller(ctx context.Context) (Caller, error) {
	leaf, id, err := proven(ctx, "a workload")
	if err != nil {
		return Caller{}, err
	}
	workspace, service, ok := id.AsWorkload()
	if !ok || id.TrustDomain != z.TrustDomain {
		return Caller{}, problem.IdentityRefused.Because("%s is not a workload of %s", id, z.TrustDomain)
	}
	if !identity.SignedByZone(leaf, z.Name, z.TrustDomain) {
		return Caller{}, problem.WorkloadUnknown.Because("the certificate of %s was not issued in zone %s", id, z.Name)
	}
	return Caller{id, workspace, service, roleOf(leaf)}, nil
}

// Sibling returns the name of the edge of this zone that makes a call, by the certificate of its
// connection. It refuses everybody else.
func (z Zone) Sibling(ctx context.Context) (string, error) {
	_, id, err := proven(ctx, "an edge")
	if err != nil {
		return "", err
	}
	zone, name, ok := id.AsEdge()
	if !ok || zone != z.Name || id.TrustDomain != z.TrustDomain {
		return "", problem.IdentityRefused.Because("%s is no edge of zone %s of %s", id, z.Name, z.TrustDomain)
	}
	return name, nil
}

// proven is the certificate of a connection and whom it names. who is what should make the call, for the refusal.
func proven(ctx context.Context, who string) (*x509.Certificate, identity.ID, error) {
	leaf := leafOf(ctx)
	if leaf == nil {
		return nil, identity.ID{}, status.Error(codes.Unauthenticated, problem.PeerUntrusted.Because("%s must present its certificate", who).Error())
	}
	id, err := identity.OfCertificate(leaf)
	if err != nil {
		return nil, identity.ID{}, problem.PeerUntrusted.Because("%v", err)
	}
	return leaf, id, nil
}

func leafOf(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	tls, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(tls.State.PeerCertificates) == 0 {
		return nil
	}
	return tls.State.PeerCertificates[0]
}

func roleOf(leaf *x509.Certificate) string {
	for _, name := range leaf.DNSNames {
		if role, ok := strings.CutSuffix(name, roleSuffix); ok && slices.Contains([]string{RoleWorkload, RoleGateway}, role) {
			return role
		}
	}
	return RoleWorkload
}
