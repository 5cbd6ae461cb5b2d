package edgetest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

type machineServer struct {
	machinepb.UnimplementedMachineServer
	zone *Zone
}

func (m *machineServer) Join(_ context.Context, request *machinepb.JoinRequest) (*machinepb.JoinResponse, error) {
	z := m.zone
	key, err := identity.RequestKeySHA256(request.Csr)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	presented, err := identity.ParseToken(request.Token)
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	z.mu.Lock()
	known, ok := z.tokens[presented.Name]
	used := known.key != "" && known.key != key
	if ok && !used {
		known.key = key
		z.tokens[presented.Name] = known
	}
	z.mu.Unlock()
	switch {
	case !ok || !presented.Proves(known.token.SecretSHA256()):
		return nil, status.Error(codes.PermissionDenied, problem.TokenUnknown.Because("token %q", presented.Name).Error())
	case used:
		return nil, status.Error(codes.PermissionDenied, problem.TokenUsed.Because("token %q", presented.Name).Error())
	}
	return m.sign(request.Csr, known.role)
}

func (m *machineServer) sign(csr []byte, role string) (*machinepb.JoinResponse, error) {
	z := m.zone
	id := identity.Workload(TrustDomain, Workspace, Service)
	certificates, err := z.authority.Sign(csr, id, z.TTL, nil, nil)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	return &machinepb.JoinResponse{
		Certificates: certificates, Roots: [][]byte{z.root.Certificate().Raw}, SpiffeId: id.String(),
		Zone: ZoneName, Workspace: Workspace, Service: Service, Role: role, Edges: z.addresses(),
	}, nil
}

func (m *machineServer) Renew(ctx context.Context, request *machinepb.RenewRequest) (*machinepb.JoinResponse, error) {
	if !known(ctx) {
		return nil, status.Error(codes.Unauthenticated, "no certificate")
	}
	response, err := m.sign(request.Csr, "workload")
	m.zone.change(func() { m.zone.renewals++ })
	return response, err
}

func known(ctx context.Context) bool {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return ok && identity.OfPeer(info.State) != nil
}

func (m *machineServer) Attend(stream machinepb.Machine_AttendServer) error {
	if !known(stream.Context()) {
		return status.Error(codes.Unauthenticated, "no certificate")
	}
	z := m.zone
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		z.change(func() { z.heed(request) })
		if request.Workload == nil && !request.Leave {
			continue
		}
		z.mu.Lock()
		answer := &machinepb.AttendResponse{Workload: "reviews-1", NodeId: z.nodeID, Edges: z.addresses(), Left: request.Leave}
		z.mu.Unlock()
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func (z *Zone) heed(request *machinepb.AttendRequest) {
	if request.Workload != nil {
		z.workload, z.left = request.Workload, false
	}
	if request.Health != nil {
		z.health = request.Health
		if !request.Health.Healthy {
			z.ills++
		}
	}
	if request.Leave {
		z.left = true
	}
}
