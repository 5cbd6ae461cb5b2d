package edge

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

// admitTimeout bounds one question for certificates.
const admitTimeout = 10 * time.Second

// keyPair is the edge's own key and that of its authority.
type keyPair struct{ own, authority crypto.Signer }

// join obtains the first credentials, unless there are some. While the hub does not answer it asks again.
func (w *wallet) join(ctx context.Context, config Config) error {
	if c := w.newest.Load(); c != nil {
		return c.usable(config.JoinToken, w.now())
	}
	token, err := identity.ParseToken(config.JoinToken)
	if err != nil {
		return err
	}
	if config.HubAddresses == nil {
		config.HubAddresses = token.Addresses
	}
	keys, err := w.firstKeys()
	if err != nil {
		return err
	}
	for failures := 0; ; failures++ {
		err := w.admit(ctx, config, token, keys)
		if err == nil || !isAway(err) || ctx.Err() != nil {
			return err
		}
		config.Log.Warn("cannot join yet", "addresses", config.HubAddresses, "err", err)
		if err := pause(ctx, feed.Backoff(failures)); err != nil {
			return err
		}
	}
}

// usable refuses credentials that are over, or of another mesh than the token's.
func (c *credentials) usable(token string, now time.Time) error {
	if now.After(c.end()) {
		return problem.PeerUntrusted.Because("the edge's certificate ended %s, before it could be renewed; start it with an empty data directory and a new token", c.end().Format(time.RFC3339))
	}
	if token == "" {
		return nil
	}
	t, err := identity.ParseToken(token)
	if err != nil {
		return err
	}
	for _, root := range c.authority.Roots() {
		if identity.Pin(root) == t.Pin {
			return nil
		}
	}
	return problem.PeerUntrusted.Because("the data directory belongs to another mesh than the join token")
}

// firstKeys makes the keys of the first request and keeps them: a token is bound to its key, and the
// answer may be lost.
func (w *wallet) firstKeys() (keyPair, error) {
	if fields := w.journal.All(); fields[keyField] != nil {
		return readKeys(fields)
	}
	keys, err := newKeys()
	if err != nil {
		return keys, err
	}
	own, err1 := identity.EncodeKey(keys.own)
	authority, err2 := identity.EncodeKey(keys.authority)
	if err := errors.Join(err1, err2); err != nil {
		return keys, err
	}
	if err := w.journal.Write(map[string][]byte{keyField: own, authorityKeyField: authority}); err != nil {
		return keys, problem.StateNotSaved.Because("keys: %v", err)
	}
	return keys, nil
}

// admit asks once, of a hub that is known only by the token's pin.
func (w *wallet) admit(ctx context.Context, config Config, token identity.Token, keys keyPair) error {
	request, err := keys.request()
	if err != nil {
		return err
	}
	request.Token, request.Edge = config.JoinToken, config.Name
	ctx, cancel := context.WithTimeout(ctx, admitTimeout)
	defer cancel()
	if request.Cluster, err = config.cluster(ctx); err != nil {
		return err
	}
	secure, stranger := strangers(identity.PinnedTLS(token.Pin, w.now, onlyHub))
	response, err := feed.Admit(ctx, config.HubAddresses, secure, request)
	if err := stranger(); err != nil {
		return fmt.Errorf("join the hub: %w", err)
	}
	if err != nil {
		return fmt.Errorf("join the hub: %w", err)
	}
	return w.keep(response, config.Name, config.HubAddresses, keys)
}

// strangers returns the configuration, and why it last refused somebody: gRPC says no more than that there is
// no connection, but against a stranger waiting does not help.
func strangers(config *tls.Config) (*tls.Config, func() error) {
	var mu sync.Mutex
	var refusal error
	verify := config.VerifyConnection
	config.VerifyConnection = func(s tls.ConnectionState) error {
		err := verify(s)
		mu.Lock()
		defer mu.Unlock()
		refusal = err
		return err
	}
	return config, func() error { mu.Lock(); defer mu.Unlock(); return refusal }
}

// request asks for both certificates.
func (k keyPair) request() (*feedpb.AdmitRequest, error) {
	own, err1 := identity.NewRequest(k.own)
	authority, err2 := identity.NewRequest(k.authority)
	return &feedpb.AdmitRequest{Csr: own, AuthorityCsr: authority}, errors.Join(err1, err2)
}

func newKeys() (keyPair, error) {
	own, err1 := identity.NewKey()
	authority, err2 := identity.NewKey()
	return keyPair{own, authority}, errors.Join(err1, err2)
}

func readKeys(fields map[string][]byte) (keyPair, error) {
	own, err1 := identity.DecodeKey(fields[keyField])
	authority, err2 := identity.DecodeKey(fields[authorityKeyField])
	return keyPair{own, authority}, errors.Join(err1, err2)
}

// onlyHub accepts nobody else at the other end of the feed.
func onlyHub(id identity.ID) error {
	if !id.IsHub() {
		return problem.PeerUntrusted.Because("%s is not the hub", id)
	}
	return nil
}

// cluster tells the edge's cluster from others; an edge of machines has none. A cluster that does not answer is asked
// again, as a hub that is away.
func (c Config) cluster(ctx context.Context) (string, error) {
	if !c.inKubernetes() {
		return "", nil
	}
	access, err := kube.Access(c.Kubeconfig)
	if err != nil {
		return "", err
	}
	uid, err := kube.UID(ctx, access)
	if err != nil {
		return "", grpcstatus.Error(codes.Unavailable, err.Error())
	}
	return uid, nil
}

// isAway tells whether the hub said nothing, as opposed to no.
func isAway(err error) bool {
	var p *problem.Error
	return !errors.As(err, &p) && slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded}, grpcstatus.Code(err))
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
