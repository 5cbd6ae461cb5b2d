package feed

import (
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// messageBytes is the largest message either side reads: the versions of 100,000 resources, or one
// very large resource.
const messageBytes = 16 << 20

// Keepalive of the one long connection, also over firewalls that forget idle ones.
const (
	pingEvery   = 10 * time.Second
	pingTimeout = 5 * time.Second
	// connectTimeout is how long an address may take before the next is tried.
	connectTimeout = 5 * time.Second
)

// Limits bound what travels in one message. Zero values mean the defaults.
type Limits struct {
	// PartBytes is the size above which a revision is cut into parts; 1 MiB by default.
	PartBytes int
	// ResourceBytes is the largest resource; 8 MiB by default, less than any side reads at once.
	ResourceBytes int
}

func (l Limits) orDefault() Limits {
	if l.PartBytes == 0 {
		l.PartBytes = 1 << 20
	}
	if l.ResourceBytes == 0 {
		l.ResourceBytes = 8 << 20
	}
	return l
}

// fitting returns the resources that may travel, and an error for each of the others.
func (l Limits) fitting(resources []*feedpb.Resource) ([]*feedpb.Resource, error) {
	var errs []error
	fit := make([]*feedpb.Resource, 0, len(resources))
	for _, r := range resources {
		if size := proto.Size(r); size > l.ResourceBytes {
			errs = append(errs, problem.ResourceTooLarge.Because("%s has %d bytes, more than %d", r.Name, size, l.ResourceBytes))
			continue
		}
		fit = append(fit, r)
	}
	return fit, errors.Join(errs...)
}

// ServerOptions are the message sizes and keepalive that a gRPC server carrying the feed needs.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(messageBytes), grpc.MaxSendMsgSize(messageBytes),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery / 2, PermitWithoutStream: true}),
	}
}
