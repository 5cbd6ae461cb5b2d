package hub

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/isthmus-mesh/isthmus/hub/apiserver"
)

// Config is what a hub is told. DataDir is required; everything else has a default.
type Config struct {
	// DataDir holds what must outlive the process: the storage, keys and certificates, the shapes of
	// discovered services. It is made if missing, for this user only.
	DataDir string
	// Listen is where the API listens, "host:port". Default 127.0.0.1:7443.
	Listen string
	// FeedListen is where edges are served, "host:port". Default 127.0.0.1:7444.
	FeedListen string
	// Advertise lists the names and addresses at which clients and edges reach the hub, "host" or
	// "host:port"; the port is the feed's. Certificates are valid for them and join tokens name
	// them. Default: the host of FeedListen.
	Advertise []string
	// Etcd names an external etcd cluster. Default: one member inside this process.
	Etcd apiserver.ExternalEtcd
	// TrustDomain of every identity. It cannot change later. Default isthmus.local.
	TrustDomain string
	// EdgeTTL is the life of an edge's certificate and of the hub's own; a hub may be away for about half of
	// it, the rest being the time in which edges renew. Default 30 days.
	EdgeTTL time.Duration
	// ZoneTTL is the life of a zone's authority. Default 90 days.
	ZoneTTL time.Duration
	// Linger is how long a discovered service, or a version of it, stays known after its last workload
	// left. Default 10 minutes.
	Linger time.Duration
	// StatusRate bounds how many statuses are written in a second. Default 500.
	StatusRate int
	// Metrics receives the hub's counters. Default [prometheus.DefaultRegisterer], which /metrics of the API serves.
	Metrics prometheus.Registerer
	// Now is the clock of certificates, tokens and Linger. Default [time.Now].
	Now func() time.Time
	// Log is told what happens. Default: nothing is logged.
	Log *slog.Logger
}

// Info is how to reach a hub that is ready.
type Info struct {
	// API is where the API listens, "host:port".
	API string
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string
	// Feed is where edges are served, "host:port".
	Feed string
	// FeedAddresses are those that join tokens name.
	FeedAddresses []string
	// Root is the root of trust of the mesh.
	Root *x509.Certificate
}

func (c Config) withDefaults() (Config, error) {
	if c.DataDir == "" {
		return c, errors.New("the hub needs a data directory: --data DIR")
	}
	c.Listen = orElse(c.Listen, "127.0.0.1:7443")
	c.FeedListen = orElse(c.FeedListen, "127.0.0.1:7444")
	c.TrustDomain = orElse(c.TrustDomain, "isthmus.local")
	c.EdgeTTL = orElse(c.EdgeTTL, 30*24*time.Hour)
	c.ZoneTTL = orElse(c.ZoneTTL, 90*24*time.Hour)
	c.Linger = orElse(c.Linger, 10*time.Minute)
	c.StatusRate = orElse(c.StatusRate, 500)
	if c.Metrics == nil {
		c.Metrics = prometheus.DefaultRegisterer
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}
