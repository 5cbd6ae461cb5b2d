package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"k8s.io/apiserver/pkg/storage/storagebackend"
)

// Limits of the embedded etcd.
const (
	quotaBytes     = 8 << 30 // above, etcd accepts no writes until something is deleted
	startTimeout   = 2 * time.Minute
	maxSocketPath  = 107 // of sun_path, unix(7)
	memberName     = "hub"
	unusedLocation = "localhost:2380" // etcd wants an address in its member list; nobody listens there
)

// etcd is the storage: a member in this process, or an external cluster.
type etcd struct {
	transport storagebackend.TransportConfig // how the API server reaches it
	client    *clientv3.Client               // how we do
	member    *embed.Etcd                    // nil if external
	ending    *atomic.Bool                   // shared with the logger
}

func openEtcd(ctx context.Context, dir string, external ExternalEtcd, log *slog.Logger) (*etcd, error) {
	if len(external.Servers) > 0 {
		return dialEtcd(external, log)
	}
	return startEtcd(ctx, dir, log)
}

func dialEtcd(x ExternalEtcd, log *slog.Logger) (*etcd, error) {
	config := clientv3.Config{Endpoints: x.Servers, Logger: zapLogger(log, new(atomic.Bool))}
	if x.CAFile != "" || x.CertFile != "" {
		info := transport.TLSInfo{CertFile: x.CertFile, KeyFile: x.KeyFile, TrustedCAFile: x.CAFile}
		var err error
		if config.TLS, err = info.ClientConfig(); err != nil {
			return nil, err
		}
	}
	client, err := clientv3.New(config)
	return &etcd{client: client, transport: storagebackend.TransportConfig{
		ServerList: x.Servers, TrustedCAFile: x.CAFile, CertFile: x.CertFile, KeyFile: x.KeyFile,
	}}, err
}

func startEtcd(ctx context.Context, dir string, log *slog.Logger) (*etcd, error) {
	socket, err := filepath.Abs(filepath.Join(dir, "etcd.sock"))
	if err != nil {
		return nil, err
	}
	if len(socket) > maxSocketPath {
		return nil, fmt.Errorf("the path of the data directory is too long for a socket in it: %s has more than %d bytes", socket, maxSocketPath)
	}
	ending := new(atomic.Bool)
	member, err := embed.StartEtcd(memberConfig(dir, socket, zapLogger(log, ending)))
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	if err := waitMember(ctx, member); err != nil {
		member.Close()
		return nil, err
	}
	return &etcd{
		member:    member,
		ending:    ending,
		client:    v3client.New(member.Server),
		transport: storagebackend.TransportConfig{ServerList: []string{"unix://" + socket}},
	}, nil
}

// memberConfig is of one member without peers; clients come through the socket, which the mode of the
// directory protects. fsync stays on: an acknowledged write is on the disk.
func memberConfig(dir, socket string, log *zap.Logger) *embed.Config {
	nowhere := []url.URL{{Scheme: "http", Host: unusedLocation}}
	c := embed.NewConfig()
	c.Name, c.Dir = memberName, filepath.Join(dir, "etcd")
	c.ListenClientUrls = []url.URL{{Scheme: "unix", Path: socket}}
	c.AdvertiseClientUrls = nowhere
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, nowhere
	c.InitialCluster = memberName + "=" + nowhere[0].String()
	c.EnableGRPCGateway = false
	c.QuotaBackendBytes = quotaBytes
	c.MaxRequestBytes = maxStoredBytes
	c.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // 0 would log every request
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log)
	return c
}

func waitMember(ctx context.Context, member *embed.Etcd) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	select {
	case <-member.Server.ReadyNotify():
		return nil
	case err := <-member.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-member.Server.StopNotify():
		return errors.New("etcd stopped while starting")
	case <-ctx.Done():
		return fmt.Errorf("etcd is not ready: %w", ctx.Err())
	}
}

// watch returns when ctx ends, or with an error when the member ends by itself.
func (e *etcd) watch(ctx context.Context) error {
	if e.member == nil {
		<-ctx.Done()
		return nil
	}
	select {
	case err := <-e.member.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-e.member.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	case <-ctx.Done():
		return nil
	}
}

// hasQuorum says whether requests can be answered. It is cheap. Of an external cluster it knows nothing.
func (e *etcd) hasQuorum() bool { return e.member == nil || e.member.Server.Leader() != 0 }

// check asks for a consistent read.
func (e *etcd) check(ctx context.Context) error {
	_, err := e.client.Get(ctx, Prefix+"/health", clientv3.WithKeysOnly())
	return err
}

// close ends the member after our client; the API server's own clients must have ended before.
func (e *etcd) close() error {
	if e.member == nil {
		return e.client.Close()
	}
	e.client.Close() // the client inside the process has no connection, and says only that it ended
	e.ending.Store(true)
	e.member.Close()
	return nil
}

// storageCheck is the readiness check of etcd.
type storageCheck struct{ etcd *etcd }

// Name of the check.
func (storageCheck) Name() string { return "etcd" }

// Check asks for a consistent read.
func (c storageCheck) Check(r *http.Request) error {
	if !c.etcd.hasQuorum() {
		return errors.New("no quorum")
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	return c.etcd.check(ctx)
}
