package meshtest

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// A workload that was admitted as one service, and asks for what is another's.
func TestAgentThatAsksForAnother(t *testing.T) {
	w := New(t)
	zone, other := w.Zone("dc1"), w.Zone("dc2")
	w.Workspace("shop")
	agent := w.Machine("ratings1").Join(zone.Token("shop", "ratings"), "--port=9080=http", "--check=none")
	s := &stranger{t: t, machine: w.Machine("thief")}
	i := &impostor{s, zone.Edges[0], other.Edges[0], agent.victim(t), zone.Token("shop", "reviews")}
	for _, part := range []struct {
		name string
		run  func(*impostor, *testing.T)
	}{
		{"joins as another service", (*impostor).joins},
		{"renews as another service", (*impostor).renews},
		{"asks for another's configuration", (*impostor).discovers},
		{"attends as another machine", (*impostor).attends},
		{"goes to another zone", (*impostor).strays},
		{"is nobody", (*impostor).isNobody},
	} {
		w.Run(t, part.name, func(t *testing.T) { part.run(i, t) })
	}
	if _, err := agent.Status(); err != nil {
		t.Errorf("the other notices: %v", err)
	}
}

// impostor is a workload reviews of dc1 that would like to be ratings.
type impostor struct {
	*stranger
	edge, foreign *Edge
	victim        victim
	token         string
}

// victim is what its machine's disk says of a workload.
type victim struct{ ID, Instance, NodeID string }

func (a *Agent) victim(t *testing.T) (v victim) {
	t.Helper()
	for _, file := range []string{"identity.json", "member.json"} {
		text, err := os.ReadFile(filepath.Join(a.Machine.Dir("agent"), file))
		if err := errors.Join(err, json.Unmarshal(text, &v)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// id is whom the impostor would like to be.
func (i *impostor) id() identity.ID {
	id, err := identity.ParseID(i.victim.ID)
	i.check(err)
	return id
}

func (i *impostor) joins(t *testing.T) {
	i.refused(t, refusedAtEdge(i.edge, "Join", problem.IdentityRefused), func(ctx context.Context) error {
		_, err := machinepb.NewMachineClient(i.pinned(i.token)).Join(ctx, &machinepb.JoinRequest{Token: i.token, Csr: i.request(i.newKey(), i.id())})
		return err
	})
	i.refused(t, refusedAtEdge(i.edge, "Join", problem.TokenMalformed), func(ctx context.Context) error {
		_, err := machinepb.NewMachineClient(i.pinned(i.token)).Join(ctx, &machinepb.JoinRequest{Token: "isthmus1.hello", Csr: i.request(i.newKey())})
		return err
	})
	i.join(i.token) // which the refusal has not used up
}

func (i *impostor) renews(t *testing.T) {
	i.refused(t, refusedAtEdge(i.edge, "Renew", problem.IdentityRefused), i.renewal(i.edge, i.id()))
	if err := i.renewal(i.edge)(t.Context()); err != nil {
		t.Errorf("its own certificate is not renewed: %v", err)
	}
}

// renewal asks an edge for a certificate.
func (i *impostor) renewal(edge *Edge, names ...identity.ID) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := machinepb.NewMachineClient(i.to(edge.address())).Renew(ctx, &machinepb.RenewRequest{Csr: i.request(i.newKey(), names...)})
		return err
	}
}

func (i *impostor) discovers(t *testing.T) {
	i.refused(t, refusal{i.edge, problem.IdentityRefused, `isthmus_edge_refused_streams_total{code="PermissionDenied"}`, []string{`msg="proxy refused"`, i.victim.NodeID}}, i.discovery(i.edge))
}

// discovery asks an edge for the victim's clusters.
func (i *impostor) discovery(edge *Edge) func(context.Context) error {
	return func(ctx context.Context) error {
		stream, err := xds.Delta(ctx, i.to(edge.address()), 1<<20)
		if err != nil {
			return err
		}
		_ = stream.Send(&xds.DeltaRequest{NodeID: i.victim.NodeID, TypeURL: "type.googleapis.com/envoy.config.cluster.v3.Cluster"}) // if it fails, Recv has the reason
		_, err = stream.Recv()
		return err
	}
}

func (i *impostor) attends(t *testing.T) {
	i.refused(t, refusedAtEdge(i.edge, "Attend", problem.InstanceTaken), i.attendance(i.edge))
}

// attendance registers the victim's machine at an edge.
func (i *impostor) attendance(edge *Edge) func(context.Context) error {
	return func(ctx context.Context) error {
		stream, err := machinepb.NewMachineClient(i.to(edge.address())).Attend(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&machinepb.AttendRequest{Workload: &machinepb.Workload{ // if it fails, Recv has the reason
			Instance: i.victim.Instance, Addresses: []string{i.machine.IPv4.String()}, Capture: machinepb.Capture_REDIRECT,
		}})
		_, err = stream.Recv()
		return err
	}
}

func (i *impostor) strays(t *testing.T) {
	i.refused(t, refusedAtEdge(i.foreign, "Renew", problem.WorkloadUnknown), i.renewal(i.foreign))
	i.refused(t, refusedAtEdge(i.foreign, "Discover", problem.WorkloadUnknown), i.discovery(i.foreign))
	i.refused(t, refusedAtEdge(i.foreign, "Attend", problem.WorkloadUnknown), i.attendance(i.foreign))
}

func (i *impostor) isNobody(t *testing.T) {
	i.certificate = nil
	for call, ask := range map[string]func(context.Context) error{"Renew": i.renewal(i.edge), "Discover": i.discovery(i.edge), "Attend": i.attendance(i.edge)} {
		r := refusedAtEdge(i.edge, call, problem.PeerUntrusted)
		r.series = strings.Replace(r.series, problem.PeerUntrusted.Reason, "Unauthenticated", 1)
		i.refused(t, r, ask)
	}
}

// An edge of dc2, with a certificate of the hub, that would like to be one of dc1.
func TestEdgeOfAnotherZone(t *testing.T) {
	w := New(t)
	zone, other := w.Zone("dc1"), w.Zone("dc2")
	w.Workspace("shop")
	s := &stranger{t: t, machine: w.Machine("stray")}
	s.joinAsEdge("stray", other.edgeToken())
	hub, edge := feedpb.NewFeedClient(s.to(w.Hub().address())), machinepb.NewEdgesClient(s.to(zone.Edges[0].address()))
	refused := func(name string, r refusal, call func(context.Context) error) {
		w.Run(t, name, func(t *testing.T) { s.refused(t, r, call) })
	}

	refused("takes its configuration", refusedAtHub(w.Hub(), "Configure", problem.IdentityRefused), func(ctx context.Context) error {
		stream, err := hub.Configure(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&feedpb.ConfigureRequest{Hello: &feedpb.ConfigureRequest_Hello{Protocol: feed.Protocol, Zone: "dc1", Edge: "dc1-edge1"}}) // if it fails, Recv has the reason
		_, err = stream.Recv()
		return err
	})
	refused("reports for it", refusedAtHub(w.Hub(), "Report", problem.IdentityRefused), func(ctx context.Context) error {
		stream, err := hub.Report(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&feedpb.ReportRequest{Reset_: true, Hello: &feedpb.ReportRequest_Hello{Zone: "dc1", Edge: "dc1-edge1"}}) // as before
		_, err = stream.Recv()
		return err
	})
	refused("renews as its edge", refusedAtHub(w.Hub(), "Admit", problem.IdentityRefused), func(ctx context.Context) error {
		_, err := hub.Admit(ctx, &feedpb.AdmitRequest{Edge: "dc1-edge1", Csr: s.request(s.newKey()), AuthorityCsr: s.request(s.newKey())})
		return err
	})
	refused("uses up its token", refusedAtHub(w.Hub(), "Redeem", problem.TokenForeign), func(ctx context.Context) error {
		token, err := identity.ParseToken(zone.Token("shop", "reviews"))
		s.check(err)
		_, err = hub.Redeem(ctx, &feedpb.RedeemRequest{TokenName: token.Name, KeySha256: strings.Repeat("a", 64)})
		return err
	})
	refused("follows its workloads", refusedAtEdge(zone.Edges[0], "Follow", problem.IdentityRefused), func(ctx context.Context) error {
		stream, err := edge.Follow(ctx)
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	})
}

// An agent finds an edge of another zone where its own was: it takes nothing from it, says so, and goes on with its
// own when that is back.
func TestAgentAtAnEdgeOfAnotherZone(t *testing.T) {
	w := New(t)
	zone, other := w.Zone("dc1"), w.Zone("dc2")
	w.Workspace("shop")
	agent := w.Machine("m1").Join(zone.Token("shop", "reviews"), "--port=9080=http", "--check=none")
	own := zone.Edges[0]
	own.Stop()
	stray := own.Machine.startEdge("stray", "stray", other.edgeToken())
	other.WaitConnected(2)
	agent.Says(problem.EdgeAway.Code, problem.PeerUntrusted.Code, "zone/dc2/edge/stray is no edge of zone dc1")
	Eventually(t, "the agent logs that it refuses the edge, and why", logContains(agent.Process, `msg="edge lost"`, problem.PeerUntrusted.Code))
	stray.Stop()
	own.Start()
	agent.WaitReady()
}
