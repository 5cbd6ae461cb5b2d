package kube

import (
	"context"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// ApplyOver writes a resource over the object with the uid; an empty one stands for none.
func (c *Cluster) ApplyOver(ctx context.Context, r *feedpb.Resource, uid string) error {
	_, err := c.apply(ctx, newWanted(r, c.config.Zone), uid)
	return err
}
