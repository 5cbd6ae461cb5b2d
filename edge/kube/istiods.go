package kube

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/edge/kube/istiod"
)

// redial is the least time between two attempts to reach an istiod.
const redial = 2 * time.Second

// istiods are the addresses of all istiods that run in a namespace, and whether they are ready.
func (c *Cluster) istiods(namespace string) map[string]bool {
	found := map[string]bool{}
	for _, p := range c.inventory.pods.some(func(p *pod) bool { return p.namespace == namespace && p.labels["app"] == istiodLabel }) {
		if len(p.addresses) > 0 && !p.ended {
			found[net.JoinHostPort(p.addresses[0], strconv.Itoa(istiod.Port))] = p.ready
		}
	}
	return found
}

// reach has a conversation with every istiod.
func (s *survey) reach(ctx context.Context) {
	found := s.cluster.istiods(s.account.Namespace)
	for address, l := range s.links {
		if _, there := found[address]; !there {
			l.drop()
			delete(s.links, address)
		}
	}
	for address, ready := range found {
		if s.links[address] == nil {
			s.links[address] = &link{address: address, since: s.now()}
		}
		s.links[address].ready = ready
	}
	s.each(func(l *link) { l.reach(ctx, s) })
}

// reached is whether all istiods answer that have to: one that is not ready has no proxies, or they are missed by name.
func (s *survey) reached() bool {
	for _, l := range s.links {
		if l.stream == nil && l.ready {
			return false
		}
	}
	return len(s.links) > 0
}

// storing is whether an istiod that answers has not got everything.
func (s *survey) storing() bool {
	for _, l := range s.links {
		if l.stream != nil && !l.stored {
			return true
		}
	}
	return false
}

// reach begins a conversation if there is none, not too often.
func (l *link) reach(ctx context.Context, s *survey) {
	if l.stream != nil && (l.err != nil || !l.stream.Alive()) {
		if l.drop(); l.answered {
			l.answered, l.since = false, s.now()
		}
	}
	if l.stream != nil || s.now().Sub(l.dialled) < redial {
		return
	}
	l.dialled = s.now()
	if l.stream, l.err = s.open(ctx, l.address); l.err != nil {
		l.stream = nil
		s.cluster.config.Log.Warn("an istiod cannot be asked", "address", l.address, "err", l.err)
	}
}

// open begins a conversation as the account, which must be trusted by both sides.
func (s *survey) open(ctx context.Context, address string) (*istiod.Stream, error) {
	roots, err := s.cluster.istioRoots(ctx, s.account.Namespace)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	token, err := s.cluster.tokenOf(ctx, s.account.Namespace, s.account.Name)
	if err != nil {
		return nil, err
	}
	return istiod.Open(ctx, istiod.Config{
		Address: address, ServerName: istiodLabel + "." + s.account.Namespace + ".svc", Roots: pool,
		Namespace: s.account.Namespace, Account: s.account.Name, Token: token,
	})
}

// tokenLife is the shortest that Kubernetes gives: a token is shown once, when a conversation begins.
const tokenLife = 10 * time.Minute

// tokenOf is a token of a service account, for istiods only.
func (c *Cluster) tokenOf(ctx context.Context, namespace, account string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	spec := authenticationv1.TokenRequestSpec{Audiences: []string{istiod.Audience}, ExpirationSeconds: new(int64(tokenLife.Seconds()))}
	token, err := c.core.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, &authenticationv1.TokenRequest{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of service account %s/%s: %w", namespace, account, err)
	}
	return token.Status.Token, nil
}
