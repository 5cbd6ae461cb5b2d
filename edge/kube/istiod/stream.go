package istiod

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"
)

// Port is where istiod serves proxies by TLS.
const Port = 15012

// Audience is that of the tokens istiod takes.
const Audience = "istio-ca"

const (
	debugType  = "istio.io/debug"
	routesType = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
)

// Config is how to reach an istiod. All fields are required.
type Config struct {
	// Address is "host:port", ServerName what its certificate says.
	Address, ServerName string
	Roots               *x509.CertPool
	// Namespace and Account are those of the service account that the token is of. The namespace must be istiod's.
	Namespace, Account string
	Token              string
}

// Stream is a conversation with one istiod process; whatever ends it, what was concluded from it is over too.
// Its methods may be called from any goroutine.
type Stream struct {
	conn   *grpc.ClientConn
	stream discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing is received any more

	sending sync.Mutex
	marks   marks
	err     error // why it ended; written before done is closed

	mu    sync.Mutex             // guards what follows
	asked map[string]chan []byte // who waits for a page
}

// patience is how long an istiod may take to answer: it works while others ask too.
const patience = 10 * time.Second

// dialling is how long it may take to reach one.
const dialling = 3 * time.Second

// Open begins a conversation, which ends with ctx, with Close or when the other side ends it.
func Open(ctx context.Context, c Config) (*Stream, error) {
	conn, err := grpc.NewClient("passthrough:///"+c.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{ServerName: c.ServerName, RootCAs: c.Roots, MinVersion: tls.VersionTLS12})),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)), // answers are as large as the mesh
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}))
	if err != nil {
		return nil, fmt.Errorf("istiod %s: %w", c.Address, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(dialling, cancel)
	defer late.Stop()
	s := &Stream{conn: conn, cancel: cancel, done: make(chan struct{}), asked: map[string]chan []byte{}}
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.Token)
	if s.stream, err = discovery.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx); err == nil {
		err = s.send(&discovery.DeltaDiscoveryRequest{Node: c.node(), TypeUrl: routesType, ResourceNamesSubscribe: []string{markRoutes}})
	}
	if err != nil {
		cancel()
		conn.Close()
		return nil, fmt.Errorf("istiod %s: %w", c.Address, err)
	}
	go s.receive()
	return s, nil
}

// node is the proxy that we pose as. Its address is one that nobody has.
func (c Config) node() *corev3.Node {
	facts, err := structpb.NewStruct(map[string]any{"NAMESPACE": c.Namespace, "SERVICE_ACCOUNT": c.Account})
	if err != nil {
		panic("istiod: words are no value: " + err.Error())
	}
	return &corev3.Node{Id: "sidecar~192.0.2.1~" + c.Account + "." + c.Namespace + "~" + c.Namespace + ".svc.cluster.local", Metadata: facts}
}

func (s *Stream) send(request *discovery.DeltaDiscoveryRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.stream.Send(request)
}

// receive takes what comes until the stream ends.
func (s *Stream) receive() {
	defer close(s.done)
	for {
		response, err := s.stream.Recv()
		if err == nil {
			err = s.take(response)
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

func (s *Stream) take(response *discovery.DeltaDiscoveryResponse) error {
	if response.TypeUrl == debugType {
		for _, r := range response.Resources {
			s.answer(r.Name, r.GetResource().GetValue())
		}
		return nil // an acknowledgement would be another question
	}
	s.marks.take(response)
	return s.send(&discovery.DeltaDiscoveryRequest{TypeUrl: response.TypeUrl, ResponseNonce: response.Nonce})
}

// ask gets a page of the debug interface, for instance "syncz". Pages may be asked for at once, each of them by one.
func (s *Stream) ask(ctx context.Context, page string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := make(chan []byte, 1)
	s.mu.Lock()
	s.asked[page] = answer
	s.mu.Unlock()
	if err := s.send(&discovery.DeltaDiscoveryRequest{TypeUrl: debugType, ResourceNamesSubscribe: []string{page}}); err != nil {
		return nil, s.failed(err)
	}
	select {
	case text := <-answer:
		return text, nil
	case <-s.done:
		return nil, s.failed(nil)
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", page, context.Cause(ctx))
	}
}

// answer hands a page to who waits for it; one that comes too late is nobody's.
func (s *Stream) answer(page string, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if answer := s.asked[page]; answer != nil {
		delete(s.asked, page)
		answer <- text
	}
}

// failed prefers why the stream ended: sending says EOF only.
func (s *Stream) failed(err error) error {
	select {
	case <-s.done:
		return s.err
	case <-time.After(time.Second):
		return err
	}
}

// Alive is whether the conversation goes on.
func (s *Stream) Alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// Close ends it.
func (s *Stream) Close() {
	s.cancel()
	<-s.done
	s.conn.Close()
}
