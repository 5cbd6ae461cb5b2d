package xds

import (
	"context"

	"google.golang.org/grpc"
)

const (
	aggregatedService = "envoy.service.discovery.v3.AggregatedDiscoveryService"
	deltaMethod       = "DeltaAggregatedResources"
	secretService     = "envoy.service.secret.v3.SecretDiscoveryService"
	secretMethod      = "StreamSecrets"
)

type (
	// DeltaServerStream is a server's end of the aggregated service.
	DeltaServerStream = grpc.BidiStreamingServer[DeltaRequest, DeltaResponse]
	// DeltaClientStream is a client's end of it.
	DeltaClientStream = grpc.BidiStreamingClient[DeltaRequest, DeltaResponse]
	// SecretServerStream is a server's end of the secret service.
	SecretServerStream = grpc.BidiStreamingServer[Request, Response]
	// SecretClientStream is a client's end of it.
	SecretClientStream = grpc.BidiStreamingClient[Request, Response]
)

// NewServer makes a server for [ServeDelta] and [ServeSecrets], and nothing else.
func NewServer(options ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(options, grpc.ForceServerCodecV2(codec{}))...)
}

// ServeDelta adds the aggregated service to a server of [NewServer].
func ServeDelta(s *grpc.Server, handle func(DeltaServerStream) error) {
	serve(s, aggregatedService, deltaMethod, func(stream grpc.ServerStream) error {
		return handle(&grpc.GenericServerStream[DeltaRequest, DeltaResponse]{ServerStream: stream})
	})
}

// ServeSecrets adds the secret service to a server of [NewServer].
func ServeSecrets(s *grpc.Server, handle func(SecretServerStream) error) {
	serve(s, secretService, secretMethod, func(stream grpc.ServerStream) error {
		return handle(&grpc.GenericServerStream[Request, Response]{ServerStream: stream})
	})
}

func serve(s *grpc.Server, service, method string, handle func(grpc.ServerStream) error) {
	handler := func(_ any, stream grpc.ServerStream) error { return handle(stream) }
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: service, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: method, Handler: handler, ServerStreams: true, ClientStreams: true}},
	}, nil)
}

// Delta opens a stream of the aggregated service. Responses may have maxResponse bytes.
func Delta(ctx context.Context, conn grpc.ClientConnInterface, maxResponse int) (DeltaClientStream, error) {
	stream, err := open(ctx, conn, aggregatedService, deltaMethod, grpc.MaxCallRecvMsgSize(maxResponse))
	return &grpc.GenericClientStream[DeltaRequest, DeltaResponse]{ClientStream: stream}, err
}

// Secrets opens a stream of the secret service.
func Secrets(ctx context.Context, conn grpc.ClientConnInterface) (SecretClientStream, error) {
	stream, err := open(ctx, conn, secretService, secretMethod)
	return &grpc.GenericClientStream[Request, Response]{ClientStream: stream}, err
}

func open(ctx context.Context, conn grpc.ClientConnInterface, service, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	desc := &grpc.StreamDesc{StreamName: method, ServerStreams: true, ClientStreams: true}
	return conn.NewStream(ctx, desc, "/"+service+"/"+method, append(options, grpc.ForceCodecV2(codec{}))...)
}
