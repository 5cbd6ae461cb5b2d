package edge

import (
	"context"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// Pauses between renewals: the longest after a failure, and the shortest in any case, should the hub give
// certificates that are half over.
const (
	renewRetry = time.Minute
	renewPause = time.Second
)

// admitter renews; it is a [feed.Client].
type admitter interface {
	Admit(context.Context, *feedpb.AdmitRequest) (*feedpb.AdmitResponse, error)
}

// renew replaces the credentials when half of their life is over, again and again until ctx ends.
// troubled is told of each attempt; nil means that it worked.
func (w *wallet) renew(ctx context.Context, hub admitter, troubled func(*problem.Error)) error {
	for failures := 0; ; {
		if pause(ctx, w.untilRenewal(failures)) != nil {
			return nil
		}
		if err := w.renewOnce(ctx, hub); err != nil {
			failures++
			troubled(problem.CertificateEnding.Because("the edge's certificates end %s and were not renewed: %v", w.newest.Load().end().Format(time.RFC3339), err))
			continue
		}
		failures = 0
		troubled(nil)
	}
}

func (w *wallet) untilRenewal(failures int) time.Duration {
	if failures > 0 {
		return min(feed.Backoff(failures)*4, renewRetry)
	}
	return max(w.newest.Load().halfLife().Sub(w.now()), renewPause)
}

// renewOnce asks for certificates for new keys.
func (w *wallet) renewOnce(ctx context.Context, hub admitter) error {
	old := w.newest.Load()
	keys, err := newKeys()
	if err != nil {
		return err
	}
	request, err := keys.request()
	if err != nil {
		return err
	}
	request.Edge = old.name
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	response, err := hub.Admit(ctx, request)
	if err != nil {
		return err
	}
	return w.keep(response, old.name, old.hub, keys)
}
