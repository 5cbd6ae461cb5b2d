package admission

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
)

// Refusals logs and counts what the edge refuses machines.
type Refusals struct {
	log   *slog.Logger
	count *prometheus.CounterVec
}

// NewRefusals registers the counter; registerer may be nil.
func NewRefusals(log *slog.Logger, registerer prometheus.Registerer) *Refusals {
	count := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "isthmus", Subsystem: "edge", Name: "refused_total",
		Help: "Calls of machines refused, by call and reason."}, []string{"call", "reason"})
	if registerer != nil {
		registerer.MustRegister(count)
	}
	return &Refusals{log, count}
}

// Status makes the answer that the caller sees of the reason for a refusal.
func (r *Refusals) Status(ctx context.Context, call string, err error) error {
	reason, code := status.Code(err).String(), status.Code(err)
	var p *problem.Error
	if errors.As(err, &p) {
		reason, code = p.Reason, codeOf(p.Problem)
		err = status.Error(code, p.Error())
	}
	r.count.WithLabelValues(call, reason).Inc()
	r.log.Warn("refused", "call", call, "peer", peerName(ctx), "reason", reason, "err", err)
	return err
}

func codeOf(p problem.Problem) codes.Code {
	switch p {
	case problem.RegistrationInvalid, problem.RequestInvalid:
		return codes.InvalidArgument
	case problem.StateNotSaved:
		return codes.Unavailable
	}
	return codes.PermissionDenied
}

func peerName(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "unknown"
	}
	if leaf := leafOf(ctx); leaf != nil {
		if id, err := identity.OfCertificate(leaf); err == nil {
			return id.String() + " at " + p.Addr.String()
		}
	}
	return p.Addr.String()
}
