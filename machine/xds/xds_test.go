package xds

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// agree checks that ours and the generated code understand each other, both ways.
func agree(t *testing.T, ours, empty message, real proto.Message) {
	t.Helper()
	text, err := proto.Marshal(real)
	if err != nil {
		t.Fatal(err)
	}
	if err := empty.decode(text); err != nil || !reflect.DeepEqual(empty, ours) {
		t.Errorf("read %+v, %v\nwant %+v", empty, err, ours)
	}
	back := proto.Clone(real)
	proto.Reset(back)
	if err := proto.Unmarshal(ours.encode(), back); err != nil || !proto.Equal(back, real) {
		t.Errorf("wrote %v, %v\nwant  %v", back, err, real)
	}
}

func TestMessagesAreEnvoys(t *testing.T) {
	body := &anypb.Any{TypeUrl: "T", Value: []byte{1, 0, 2}}
	rejection := &status.Status{Code: 3, Message: "no"}
	agree(t,
		&DeltaRequest{TypeURL: "T", Subscribe: []string{"a", "*"}, Unsubscribe: []string{"b"}, Versions: map[string]string{"a": "1", "c": ""}, Nonce: "n", Rejection: &Rejection{"no"}},
		&DeltaRequest{},
		&discovery.DeltaDiscoveryRequest{TypeUrl: "T", ResourceNamesSubscribe: []string{"a", "*"}, ResourceNamesUnsubscribe: []string{"b"}, InitialResourceVersions: map[string]string{"a": "1", "c": ""}, ResponseNonce: "n", ErrorDetail: rejection})
	resource := &discovery.Resource{Name: "a", Version: "1", Resource: body}
	agree(t,
		&DeltaResponse{SystemVersion: "7", TypeURL: "T", Resources: []*Resource{NewResource("a", "1", Any{"T", []byte{1, 0, 2}})}, Removed: []string{"b"}, Nonce: "n"},
		&DeltaResponse{},
		&discovery.DeltaDiscoveryResponse{SystemVersionInfo: "7", TypeUrl: "T", Resources: []*discovery.Resource{resource}, RemovedResources: []string{"b"}, Nonce: "n"})
	agree(t,
		&Request{TypeURL: "T", Names: []string{"a"}, Nonce: "n", Rejection: &Rejection{"no"}}, &Request{},
		&discovery.DiscoveryRequest{TypeUrl: "T", ResourceNames: []string{"a"}, ResponseNonce: "n", ErrorDetail: rejection})
	agree(t,
		&Response{Version: "1", TypeURL: "T", Resources: []Any{{"T", []byte{1, 0, 2}}}, Nonce: "n"}, &Response{},
		&discovery.DiscoveryResponse{VersionInfo: "1", TypeUrl: "T", Resources: []*anypb.Any{body}, Nonce: "n"})
}

func TestFirstRequestNamesTheNode(t *testing.T) {
	var back discovery.DeltaDiscoveryRequest
	if err := proto.Unmarshal((&DeltaRequest{NodeID: "me", TypeURL: "T"}).encode(), &back); err != nil || back.Node.GetId() != "me" || back.Node.GetUserAgentName() != "envoy" {
		t.Errorf("%v, %v", &back, err)
	}
	text, err := proto.Marshal(&discovery.DeltaDiscoveryRequest{Node: &core.Node{Id: "you"}, TypeUrl: "T"})
	if err != nil {
		t.Fatal(err)
	}
	var ours DeltaRequest
	if err := ours.decode(text); err != nil || ours.TypeURL != "T" {
		t.Errorf("%+v, %v", ours, err)
	}
}

// A resource passes through unchanged, with all its fields.
func TestResourcesPassUnchanged(t *testing.T) {
	real := &discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{{
		Name: "a", Version: "1", Aliases: []string{"b"}, Resource: &anypb.Any{TypeUrl: "T", Value: []byte("x")}, CacheControl: &discovery.Resource_CacheControl{DoNotCache: true},
	}}}
	text, err := proto.Marshal(real)
	if err != nil {
		t.Fatal(err)
	}
	var ours DeltaResponse
	if err := ours.decode(text); err != nil {
		t.Fatal(err)
	}
	var back discovery.DeltaDiscoveryResponse
	if err := proto.Unmarshal(ours.encode(), &back); err != nil || !proto.Equal(&back, real) {
		t.Errorf("%v, %v", &back, err)
	}
	if body, err := ours.Resources[0].Body(); err != nil || body.TypeURL != "T" || string(body.Value) != "x" {
		t.Errorf("%+v, %v", body, err)
	}
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	for _, bad := range [][]byte{{0xff}, {0x12, 5, 'x'}, {0x2a, 2, 0xff, 0xff}, {0x3a, 1, 0xff}} {
		if err := new(DeltaRequest).decode(bad); err == nil {
			t.Errorf("% x is taken for a message", bad)
		}
	}
}

func FuzzDeltaResponse(f *testing.F) {
	f.Add((&DeltaResponse{TypeURL: "T", Removed: []string{""}, Resources: []*Resource{NewResource("a", "1", Any{"T", nil})}}).encode())
	f.Fuzz(func(t *testing.T, m []byte) {
		var once, twice DeltaResponse
		if once.decode(m) != nil {
			return
		}
		if err := twice.decode(once.encode()); err != nil || !reflect.DeepEqual(once, twice) {
			t.Errorf("%+v became %+v, %v", once, twice, err)
		}
	})
}

// real is a server of the generated code.
type real struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer
}

func (real) DeltaAggregatedResources(s discovery.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	request, err := s.Recv()
	if err != nil {
		return err
	}
	return s.Send(&discovery.DeltaDiscoveryResponse{TypeUrl: request.TypeUrl, Nonce: request.Node.GetId()})
}

func serveOn(t *testing.T, s *grpc.Server) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestOurClientAndTheirServer(t *testing.T) {
	s := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(s, real{})
	stream, err := Delta(t.Context(), serveOn(t, s), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&DeltaRequest{NodeID: "me", TypeURL: "T"}); err != nil {
		t.Fatal(err)
	}
	if response, err := stream.Recv(); err != nil || response.TypeURL != "T" || response.Nonce != "me" {
		t.Errorf("%+v, %v", response, err)
	}
}

func TestTheirClientAndOurServer(t *testing.T) {
	s := NewServer()
	ServeDelta(s, func(stream DeltaServerStream) error {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		return stream.Send(&DeltaResponse{TypeURL: request.TypeURL, Nonce: fmt.Sprint(request.Subscribe)})
	})
	stream, err := discovery.NewAggregatedDiscoveryServiceClient(serveOn(t, s)).DeltaAggregatedResources(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&discovery.DeltaDiscoveryRequest{TypeUrl: "T", ResourceNamesSubscribe: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if response, err := stream.Recv(); err != nil || response.TypeUrl != "T" || response.Nonce != "[a]" {
		t.Errorf("%+v, %v", response, err)
	}
}
