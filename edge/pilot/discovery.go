package pilot

import (
	"context"
	"errors"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	istiosecurity "istio.io/istio/pkg/security"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

// discoveryService is Envoy's aggregated discovery service in front of Istio's. The state-of-the-world half
// of the protocol is unimplemented: it could neither resume nor be told what differs.
type discoveryService struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
	pilot *Pilot
}

func registerDiscovery(s *grpc.Server, p *Pilot) {
	discovery.RegisterAggregatedDiscoveryServiceServer(s, &discoveryService{pilot: p})
}

// DeltaAggregatedResources implements the service. Errors: INVALID_ARGUMENT (no node), UNAUTHENTICATED (no
// certificate), PERMISSION_DENIED (unknown workload, or another's), UNAVAILABLE (no configuration yet, or the
// stream must begin anew).
func (d *discoveryService) DeltaAggregatedResources(rpc discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	first, err := rpc.Recv()
	if err != nil {
		return err
	}
	w, err := d.pilot.admit(rpc.Context(), first)
	if err != nil {
		return err
	}
	return d.pilot.attend(rpc, w, first)
}

// admit finds the workload that the first request speaks for.
func (p *Pilot) admit(ctx context.Context, first *discovery.DeltaDiscoveryRequest) (*Workload, error) {
	id := peerID(ctx)
	node := first.GetNode().GetId()
	refuse := func(code codes.Code, why string) error {
		p.streams.refused(code)
		p.log.Warn("proxy refused", "node", node, "identity", id.String(), "reason", why)
		return status.Error(code, why)
	}
	w := p.registry.workload(proxyID(node))
	switch {
	case id == identity.ID{}:
		return nil, refuse(codes.Unauthenticated, "a workload's certificate is needed")
	case node == "":
		return nil, refuse(codes.InvalidArgument, "the first request names no node")
	case !p.xds.IsServerReady():
		return nil, refuse(codes.Unavailable, "the edge has no configuration yet")
	case w == nil:
		return nil, refuse(codes.PermissionDenied, "no such workload in this zone")
	case id != identity.Workload(p.trustDomain, w.Workspace, w.Service):
		return nil, refuse(codes.PermissionDenied, problem.IdentityRefused.Because("%s asks for the configuration of %s, which is another's", id, node).Error())
	}
	return w, nil
}

// attend serves the stream until it ends.
func (p *Pilot) attend(rpc discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer, w *Workload, first *discovery.DeltaDiscoveryRequest) error {
	st := newStream(rpc, p, w, first)
	p.streams.add(st)
	p.log.Info("proxy connected", "proxy", st.name)
	err := p.xds.StreamDeltas(st)
	st.order.end()
	if p.streams.remove(st) {
		p.events.add(event{gone: st.name})
	}
	p.trouble.add(trouble{stream: st, gone: true})
	p.log.Info("proxy disconnected", "proxy", st.name, "error", err)
	if reason := st.ended(); reason != "" {
		return status.Error(codes.Unavailable, reason)
	}
	return err
}

// peerID is the identity of the peer's certificate; the zero value is nobody.
func peerID(ctx context.Context) identity.ID {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return identity.ID{}
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok {
		return identity.ID{}
	}
	if id := identity.OfPeer(info.State); id != nil {
		return *id
	}
	return identity.ID{}
}

// authenticator tells Istio what admit has established.
type authenticator struct{}

// Authenticate implements Istio's Authenticator.
func (authenticator) Authenticate(ctx istiosecurity.AuthContext) (*istiosecurity.Caller, error) {
	id := peerID(ctx.GrpcContext)
	if id == (identity.ID{}) {
		return nil, errors.New("no certificate")
	}
	return &istiosecurity.Caller{AuthSource: istiosecurity.AuthSourceClientCertificate, Identities: []string{id.String()}}, nil
}

// AuthenticatorType implements Istio's Authenticator.
func (authenticator) AuthenticatorType() string { return "isthmus" }
