package hubclient

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

// TokenRequest says whom a join token shall admit.
type TokenRequest struct {
	Role v1alpha1.JoinRole
	Zone string
	// Workspace and Service of a workload or gateway; empty for an edge.
	Workspace, Service string
	// TTL is the time in which it must be used.
	TTL time.Duration
}

// Tokens lists the join tokens.
func (c *Client) Tokens(ctx context.Context) ([]v1alpha1.JoinToken, error) {
	return list[v1alpha1.JoinToken](ctx, c.dynamic.Resource(tokens))
}

// RevokeToken takes a token back. Who has joined with it stays.
func (c *Client) RevokeToken(ctx context.Context, name string) error {
	return c.dynamic.Resource(tokens).Delete(ctx, name, metav1.DeleteOptions{})
}

// CreateToken makes a join token. The secret is made here and the hub learns only its hash: what is
// returned is the only copy. It is an error when the zone does not exist, or when no edge of the zone
// has connected yet, because then there is no address to join at; for the workspace see [Client.EnsureWorkspace].
func (c *Client) CreateToken(ctx context.Context, request TokenRequest) (identity.Token, error) {
	zone, err := c.Zone(ctx, request.Zone)
	if err != nil {
		return identity.Token{}, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return identity.Token{}, err
	}
	addresses := info.FeedAddresses
	if request.Role != v1alpha1.JoinEdge {
		if addresses, err = joinable(zone); err != nil {
			return identity.Token{}, err
		}
	}
	roots, err := identity.DecodeCertificates([]byte(info.Root))
	if err != nil {
		return identity.Token{}, fmt.Errorf("the root certificate the hub publishes: %w", err)
	}
	token := identity.NewToken(tokenName(request), addresses, roots[0])
	return token, c.storeToken(ctx, token, request)
}

// joinable returns where workloads join a zone.
func joinable(zone v1alpha1.Zone) ([]string, error) {
	if len(zone.Status.Addresses) == 0 {
		return nil, fmt.Errorf("no edge of zone %s has connected yet, so there is nothing to join: "+
			"start one with the line that isthmus token create --role edge --zone %s prints", zone.Name, zone.Name)
	}
	return zone.Status.Addresses, nil
}

func (c *Client) storeToken(ctx context.Context, token identity.Token, request TokenRequest) error {
	object := v1alpha1.JoinToken{
		ObjectMeta: metav1.ObjectMeta{Name: token.Name},
		Spec: v1alpha1.JoinTokenSpec{
			Role: request.Role, Zone: request.Zone, Workspace: request.Workspace, Service: request.Service,
			SecretSHA256: token.SecretSHA256(),
			Expires:      metav1.NewTime(c.now().Add(request.TTL)),
		},
	}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("JoinToken"))
	return create(ctx, c.dynamic.Resource(tokens), &object)
}

// tokenName is readable in lists and unique enough; a collision makes the hub refuse the second.
func tokenName(request TokenRequest) string {
	who := request.Service
	if who == "" {
		who = string(request.Role)
	}
	return fmt.Sprintf("%.40s-%.12s-%s", who, request.Zone, rand.String(8))
}
