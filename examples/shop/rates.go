package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/examples/shop/ratespb"
)

// perEuro are the cents one gets for a hundred euro cents.
var perEuro = map[string]int64{"EUR": 100, "USD": 117, "GBP": 88, "JPY": 18220}

// rates is the gRPC service. It answers grpc.health.v1 too.
type rates struct {
	ratespb.UnimplementedRatesServer
	self
}

// Serve implements server.
func (r rates) Serve(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer()
	ratespb.RegisterRatesServer(server, r)
	healthpb.RegisterHealthServer(server, health.NewServer())
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		force := time.AfterFunc(drainTimeout, server.Stop)
		defer force.Stop()
		server.GracefulStop()
	})
	err := server.Serve(listener)
	if !stop() {
		<-drained
	}
	return err
}

// Convert implements the service.
func (r rates) Convert(ctx context.Context, request *ratespb.ConvertRequest) (*ratespb.ConvertResponse, error) {
	r.requests.Add(1)
	header := headersOf(ctx)
	code, delay := r.fate(header)
	wait(ctx, delay)
	if code != http.StatusOK {
		return nil, status.Errorf(codes.Unavailable, "%s was told to fail", r)
	}
	rate, ok := perEuro[request.Currency]
	if !ok {
		return nil, status.Errorf(codes.InvalidArgument, "no rate is known for %q", request.Currency)
	}
	answer, err := json.Marshal(r.answer(callerOf(header.Get("X-Forwarded-Client-Cert")), remoteOf(ctx)))
	if err != nil {
		return nil, err
	}
	return &ratespb.ConvertResponse{Cents: request.Cents * rate / 100, AnswerJson: string(answer)}, nil
}

func remoteOf(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		return from.Addr.String()
	}
	return ""
}

// dialRates connects to target, or to a proxy that is asked for target.
func dialRates(target, through string) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority(target),
		grpc.WithNoProxy(), // HTTP_PROXY is for HTTP; gRPC would try CONNECT
	}
	if through == "" {
		through = target
	}
	return grpc.NewClient("passthrough:///"+through, options...)
}

// convert asks rates for a price.
func convert(ctx context.Context, client ratespb.RatesClient, header http.Header, cents int64, currency string) (*Answer, error) {
	ctx, cancel := context.WithTimeout(passMetadata(ctx, header), callTimeout)
	defer cancel()
	response, err := client.Convert(ctx, &ratespb.ConvertRequest{Cents: cents, Currency: currency})
	if err != nil {
		return nil, err
	}
	answer := new(Answer)
	if err := json.Unmarshal([]byte(response.AnswerJson), answer); err != nil {
		return nil, err
	}
	answer.Content = map[string]any{"currency": currency, "cents": response.Cents}
	return answer, nil
}
