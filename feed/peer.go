package feed

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

// identityOf is who the caller's certificate says it is; nil without a certificate.
func identityOf(ctx context.Context) *identity.ID {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	tls, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return nil
	}
	return identity.OfPeer(tls.State)
}

// edgeOf is the calling edge, or why the caller is none.
func (s *Server) edgeOf(ctx context.Context) (edgeKey, error) {
	id := identityOf(ctx)
	if id == nil {
		return edgeKey{}, status.Error(codes.Unauthenticated, problem.PeerUntrusted.Because("an edge must present its certificate").Error())
	}
	zone, name, ok := id.AsEdge()
	if !ok || id.TrustDomain != s.config.TrustDomain {
		return edgeKey{}, problem.IdentityRefused.Because("%s is not an edge of %s", id, s.config.TrustDomain)
	}
	return edgeKey{zone, name}, nil
}

// speaksFor checks that a caller says it is who it is.
func (p edgeKey) speaksFor(zone, edge string) error {
	if zone == p.zone && edge == p.edge {
		return nil
	}
	return problem.IdentityRefused.Because("edge %s of zone %s asks as edge %s of zone %s", p.edge, p.zone, edge, zone)
}

// refuse logs and counts why a call was refused, and makes the status that the caller sees.
func (s *Server) refuse(ctx context.Context, call string, err error) error {
	reason, code := "Other", codes.Internal
	var p *problem.Error
	switch {
	case errors.As(err, &p):
		reason, code = p.Reason, codeOf(p.Problem)
	case status.Code(err) != codes.Unknown:
		code = status.Code(err)
		reason = code.String()
	}
	s.metrics.refused.WithLabelValues(call, reason).Inc()
	s.config.Log.Warn("feed: refused", "call", call, "peer", peerName(ctx), "reason", reason, "err", err)
	if code == status.Code(err) {
		return err
	}
	return status.Error(code, err.Error())
}

func codeOf(p problem.Problem) codes.Code {
	if p == problem.TokenMalformed || p == problem.RequestInvalid {
		return codes.InvalidArgument
	}
	return codes.PermissionDenied
}

func peerName(ctx context.Context) string {
	if id := identityOf(ctx); id != nil {
		return id.String()
	}
	if p, ok := peer.FromContext(ctx); ok {
		return p.Addr.String()
	}
	return "unknown"
}
