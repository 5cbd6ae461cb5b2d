package feed

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Admit answers a newcomer with a token, or an edge that renews.
func (s *Server) Admit(ctx context.Context, request *feedpb.AdmitRequest) (*feedpb.AdmitResponse, error) {
	id := identityOf(ctx)
	if id != nil {
		if _, err := s.edgeOf(ctx); err != nil {
			return nil, s.refuse(ctx, "Admit", err)
		}
	}
	if id == nil && request.Token == "" {
		return nil, s.refuse(ctx, "Admit", problem.TokenMalformed.Because("neither a token nor a certificate"))
	}
	response, err := s.config.Hub.Admit(ctx, request, id)
	if err != nil {
		return nil, s.refuse(ctx, "Admit", err)
	}
	return response, nil
}

// Redeem asks the hub whether a workload's token is still to be had.
func (s *Server) Redeem(ctx context.Context, request *feedpb.RedeemRequest) (*feedpb.RedeemResponse, error) {
	if _, err := s.edgeOf(ctx); err != nil {
		return nil, s.refuse(ctx, "Redeem", err)
	}
	if err := s.config.Hub.Redeem(ctx, *identityOf(ctx), request); err != nil {
		return nil, s.refuse(ctx, "Redeem", err)
	}
	return &feedpb.RedeemResponse{}, nil
}

type reportStream = grpc.BidiStreamingServer[feedpb.ReportRequest, feedpb.ReportResponse]

// Report takes an edge's reports, one after the other.
func (s *Server) Report(stream reportStream) error {
	edge, err := s.edgeOf(stream.Context())
	if err != nil {
		return s.refuse(stream.Context(), "Report", err)
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.Hello == nil || !first.Reset_ {
		return s.refuse(stream.Context(), "Report", status.Error(codes.InvalidArgument, "the first report must say hello and be complete"))
	}
	if err := edge.speaksFor(first.Hello.Zone, first.Hello.Edge); err != nil {
		return s.refuse(stream.Context(), "Report", err)
	}
	return s.reports(stream, edge, first)
}

func (s *Server) reports(stream reportStream, edge edgeKey, report *feedpb.ReportRequest) error {
	for {
		s.config.Hub.Report(edge.zone, edge.edge, report)
		if err := stream.Send(&feedpb.ReportResponse{Sequence: report.Sequence}); err != nil {
			return err
		}
		var err error
		if report, err = stream.Recv(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}
