package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/isthmus-mesh/isthmus/edge/admission"
)

// Config is how an edge is run. DataDir is required, and Listen in a zone of machines; JoinToken is on
// the first start.
type Config struct {
	// DataDir keeps everything; it is made when missing, for its owner only.
	DataDir string
	// JoinToken of role edge; not looked at once the edge has joined.
	JoinToken string
	// HubAddresses to dial, "host:port"; nil means those of the join token.
	HubAddresses []string
	// Listen is the "host:port" that agents dial.
	Listen string
	// Advertise are the addresses at which agents reach the edge; nil means where it listens.
	Advertise []string
	// Name of the edge in its zone; empty means the host's name.
	Name string
	// Kubeconfig is the file that leads to the cluster that the zone is, InCluster that the edge runs in it. With
	// neither it is a zone of machines; with one, Listen and Advertise are not used.
	Kubeconfig string
	InCluster  bool
	// LeaseNamespace is where the edges of a cluster agree on the one that writes; empty means that there is
	// one edge only.
	LeaseNamespace string
	// ReceiptsAccount is the service account of the cluster, "NAMESPACE/NAME" in istiod's namespace, as which the edge
	// asks istiods what their proxies acknowledged; empty means that nobody is asked.
	ReceiptsAccount string
	// Version of the program, for people.
	Version string
	// StatusListen is the "host:port" of /healthz, /readyz, /metrics and /debug/pprof/; empty means none. It is neither
	// authenticated nor encrypted: use a loopback address.
	StatusListen string
	// CertificateTTL is the life of workloads' certificates, a minute at least; 0 means [admission.MaxTTL], the longest.
	CertificateTTL time.Duration
	// Lease is how long a workload whose agent is gone is believed in; 0 means 15 s.
	Lease time.Duration
	// Forget is how long after that its proxy may be unreachable until it is forgotten; 0 means 24 h.
	Forget time.Duration
	// Log is required.
	Log *slog.Logger
	// Now is the clock; nil means [time.Now].
	Now func() time.Time
	// Ready is called with the address once agents are served; nil means nothing is.
	Ready func(address string)
}

// minTTL is the shortest life of a certificate: an edge may be away for a part of it.
const minTTL = time.Minute

// withDefaults fills what may be empty, and refuses what may not.
func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" || c.Listen == "" && !c.inKubernetes() || c.Log == nil {
		return c, errors.New("an edge needs a data directory, an address to listen on and a log")
	}
	if c.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("the edge has no name and the host neither: %w", err)
		}
		c.Name = name
	}
	c.CertificateTTL = orDuration(c.CertificateTTL, admission.MaxTTL)
	if c.CertificateTTL < minTTL || c.CertificateTTL > admission.MaxTTL {
		return c, fmt.Errorf("workloads' certificates cannot live %v: choose from %v to %v", c.CertificateTTL, minTTL, admission.MaxTTL)
	}
	c.Lease = orDuration(c.Lease, 15*time.Second)
	c.Forget = orDuration(c.Forget, 24*time.Hour)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// listen opens the edge's port, and says so plainly when that fails.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the edge cannot listen on %s: %w", address, err)
	}
	return l, nil
}
