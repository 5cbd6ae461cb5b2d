package edge

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	grpccredentials "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/isthmus-mesh/isthmus/edge/admission"
	"github.com/isthmus-mesh/isthmus/edge/pilot"
	"github.com/isthmus-mesh/isthmus/edge/roster"
	"github.com/isthmus-mesh/isthmus/edge/siblings"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// requestBytes is the largest message of an agent: the versions of all that its Envoy has.
const requestBytes = 8 << 20

// An agent whose machine vanished is missed after eight seconds. It notes after seven that its edge vanished, so that it attends
// elsewhere before anybody looks for it; see agent/attend.
const (
	pingEvery   = 5 * time.Second
	pingTimeout = 3 * time.Second
)

// machine is what agents talk to, beside Pilot.
type machine struct {
	machinepb.UnimplementedMachineServer
	desk   *admission.Desk
	roster *roster.Roster
}

// Join implements [machinepb.MachineServer].
func (m machine) Join(ctx context.Context, r *machinepb.JoinRequest) (*machinepb.JoinResponse, error) {
	return m.desk.Join(ctx, r)
}

// Renew implements [machinepb.MachineServer].
func (m machine) Renew(ctx context.Context, r *machinepb.RenewRequest) (*machinepb.JoinResponse, error) {
	return m.desk.Renew(ctx, r)
}

// Attend implements [machinepb.MachineServer].
func (m machine) Attend(stream grpc.BidiStreamingServer[machinepb.AttendRequest, machinepb.AttendResponse]) error {
	return m.roster.Attend(stream)
}

// server is the one port for agents: Machine and Envoy's discovery service.
func (e *edge) server(p *pilot.Pilot) *grpc.Server {
	server := grpc.NewServer(
		grpc.Creds(grpccredentials.NewTLS(identity.ServerTLS(e.wallet, e.config.Now))),
		grpc.MaxRecvMsgSize(requestBytes), grpc.StreamInterceptor(e.onlyOfZone),
		// Thousands of agents are connected and nearly always silent: buffers are small, or shared.
		grpc.ReadBufferSize(4<<10), grpc.WriteBufferSize(16<<10), grpc.SharedWriteBuffer(true), grpc.ForceServerCodecV2(exact{}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
	machinepb.RegisterMachineServer(server, machine{desk: e.desk(), roster: e.roster})
	machinepb.RegisterEdgesServer(server, &siblings.Server{Zone: e.place(), Roster: e.roster, Refusals: e.refusals, Acknowledged: p.WaitAcknowledged})
	p.Register(server)
	return server
}

func (e *edge) desk() *admission.Desk {
	return admission.New(admission.Config{
		Zone: e.place(), Authority: func() *identity.Authority { return e.wallet.newest.Load().authority },
		Tokens: e.zone.tokens, Ledger: e.files.tokens, Redeem: e.client.Redeem, Edges: e.edges,
		TTL: e.config.CertificateTTL, Now: e.config.Now, Refusals: e.refusals, Log: e.config.Log,
	})
}

// onlyOfZone refuses discovery to whoever is no workload of the zone. Pilot checks which workload. The
// services of our own check for themselves: newcomers have no certificate yet, and siblings are no workloads.
func (e *edge) onlyOfZone(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	service, _, _ := strings.Cut(strings.TrimPrefix(info.FullMethod, "/"), "/")
	if service != machinepb.Machine_ServiceDesc.ServiceName && service != machinepb.Edges_ServiceDesc.ServiceName {
		if _, err := e.place().Caller(stream.Context()); err != nil {
			return e.refusals.Status(stream.Context(), "Discover", err)
		}
	}
	return handle(server, stream)
}
