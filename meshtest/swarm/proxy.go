package swarm

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Proxy is one simulated machine: a workload that attends, and its Envoy.
type Proxy struct {
	// Name of the workload, given by the edge.
	Name string

	address string
	node    string
	cert    *tls.Certificate
	roots   []*x509.Certificate
	options []grpc.DialOption
	conn    *grpc.ClientConn
	attend  grpc.BidiStreamingClient[machinepb.AttendRequest, machinepb.AttendResponse]
	state   *cache
}

// Certificate and Roots make the proxy an [identity.Source].
func (p *Proxy) Certificate() *tls.Certificate { return p.cert }

// Roots are those the edge gave on joining.
func (p *Proxy) Roots() []*x509.Certificate { return p.roots }

// Join redeems a token, as an agent would. address is the one the workload registers; options are for all connections.
func Join(ctx context.Context, text, address string, options ...grpc.DialOption) (*Proxy, error) {
	token, err := identity.ParseToken(text)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(token.Addresses[0], append(slices.Clip(options), grpc.WithTransportCredentials(
		credentials.NewTLS(identity.PinnedTLS(token.Pin, time.Now, anyEdge))))...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	key, err := identity.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := identity.NewRequest(key)
	if err != nil {
		return nil, err
	}
	answer, err := machinepb.NewMachineClient(conn).Join(ctx, &machinepb.JoinRequest{Token: text, Csr: csr})
	if err != nil {
		return nil, err
	}
	p := &Proxy{address: address, options: options, state: newCache()}
	if p.cert, err = identity.Chain(key, answer.Certificates); err != nil {
		return nil, err
	}
	p.roots, err = identity.ParseCertificates(answer.Roots)
	return p, err
}

// Guest is the Envoy of a workload that joined nothing: a proxy of another control plane, stock istiod for instance,
// that takes configuration as the node and over the connection given. It cannot attend.
func Guest(conn *grpc.ClientConn, node string) *Proxy {
	return &Proxy{Name: node, node: node, conn: conn, state: newCache()}
}

// Attend connects to an edge and registers the workload with one HTTP port.
func (p *Proxy) Attend(ctx context.Context, edge string, port uint32) error {
	conn, err := grpc.NewClient(edge, append(slices.Clip(p.options), grpc.WithTransportCredentials(
		credentials.NewTLS(identity.ClientTLS(p, time.Now, anyEdge))),
		grpc.WithInitialWindowSize(1<<16), grpc.WithSharedWriteBuffer(true))...)
	if err != nil {
		return err
	}
	p.conn = conn
	if p.attend, err = machinepb.NewMachineClient(conn).Attend(ctx); err != nil {
		return err
	}
	err = p.attend.Send(&machinepb.AttendRequest{
		Workload: &machinepb.Workload{
			Instance: p.instance(), Version: "v1", Host: "swarm", Addresses: []string{p.address},
			Ports:   []*machinepb.Port{{Port: port, Protocol: "http"}},
			Capture: machinepb.Capture_REDIRECT,
		},
		Health: &machinepb.Health{Healthy: true},
	})
	if err != nil {
		return err
	}
	answer, err := p.attend.Recv()
	if err != nil {
		return err
	}
	p.Name, p.node = answer.Workload, answer.NodeId
	return nil
}

// SetHealth tells the edge how the application is.
func (p *Proxy) SetHealth(healthy bool) error {
	return p.attend.Send(&machinepb.AttendRequest{Health: &machinepb.Health{Healthy: healthy, Reason: "asked to"}})
}

// Close hangs up without leaving.
func (p *Proxy) Close() error {
	if p.conn == nil {
		return nil
	}
	return p.conn.Close()
}

// instance is stable over reconnects: it is drawn from the certificate's serial number.
func (p *Proxy) instance() string {
	if p.cert != nil && p.cert.Leaf != nil {
		return hex.EncodeToString(p.cert.Leaf.SerialNumber.Bytes())
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

func anyEdge(id identity.ID) error {
	if _, _, ok := id.AsEdge(); !ok {
		return fmt.Errorf("%s is no edge", id)
	}
	return nil
}
