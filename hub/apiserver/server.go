package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apiserver/pkg/registry/generic"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	storagevalue "k8s.io/apiserver/pkg/storage/value"
	"k8s.io/client-go/rest"
)

// Server is the hub's API.
type Server struct {
	// Views are the kinds of live state.
	Views Views

	parts
	log          *slog.Logger
	lock         *os.File // on the data directory
	api          *crdserver.CustomResourceDefinitions
	loopback     *rest.Config
	clients      *clients
	transformers storagevalue.ResourceTransformers
	statuses     *statuses
	bootstrap    *bootstrap
	once         sync.Once // of run
}

// files are the paths below the data directory.
type files struct{ pki, encryption, tokens, kubeconfig string }

func filesIn(dir string) files {
	return files{
		pki:        filepath.Join(dir, "pki"),
		encryption: filepath.Join(dir, "pki", "encryption.yaml"),
		tokens:     filepath.Join(dir, "tokens"),
		kubeconfig: filepath.Join(dir, "admin.kubeconfig"),
	}
}

// Open prepares the API: it makes certificates, starts etcd and binds the port. It ends with an error
// that says what to do if the port is taken or another process uses the data directory. Whoever opened
// a Server either runs it or closes it.
func Open(ctx context.Context, config Config) (*Server, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	captureKlog(config.Log)
	s := &Server{log: config.Log, Views: newViews(config.Now), parts: parts{config: config, files: filesIn(config.DataDir)}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Server) open(ctx context.Context) (err error) {
	if err := privateDir(s.config.DataDir); err != nil {
		return err
	}
	if s.lock, err = lockDir(s.config.DataDir); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", s.config.Listen); err != nil {
		return fmt.Errorf("the hub's API cannot listen on %s: free the address or choose another one (%w)", s.config.Listen, err)
	}
	if s.pki, err = openPKI(s.files.pki, s.config.Now); err != nil {
		return err
	}
	if err := errors.Join(s.renew(), ensureEncryption(s.files.encryption)); err != nil {
		return err
	}
	if s.etcd, err = openEtcd(ctx, s.config.DataDir, s.config.Etcd, s.log); err != nil {
		return err
	}
	return s.build()
}

// build makes the API server on what is open.
func (s *Server) build() error {
	options, err := serverOptions(s.parts)
	if err != nil {
		return err
	}
	config, err := serverConfig(s.parts, options)
	if err != nil {
		return err
	}
	s.loopback, s.transformers = config.LoopbackClientConfig, config.ResourceTransformers
	if s.clients, err = newClients(s.loopback); err != nil {
		return err
	}
	definitions, err := readDefinitions()
	if err != nil {
		return err
	}
	if s.statuses, err = s.newStatuses(definitions); err != nil {
		return err
	}
	owner := &workspaces{clients: s.clients, log: s.log}
	s.bootstrap = newBootstrap(s.clients, definitions, owner, s.log)
	if err := setAdmission(config, s.clients, newAdmitter(owner)); err != nil {
		return err
	}
	if s.api, err = newServer(config, options.RecommendedOptions.Etcd, definitions); err != nil {
		return err
	}
	return s.install(s.api.GenericAPIServer, config.RuleResolver.(Authorizer), coreStore(config, *options.RecommendedOptions.Etcd))
}

// install adds what is served beside the custom resources.
func (s *Server) install(api *genericapiserver.GenericAPIServer, access Authorizer, store generic.RESTOptionsGetter) error {
	if err := installCore(api, store, access, s.clients.typed.Discovery()); err != nil {
		return err
	}
	if err := installViews(api, &s.Views); err != nil {
		return err
	}
	installDiscovery(api)
	api.Handler.NonGoRestfulMux.Handle("/metrics", metricsHandler())
	checks := []healthz.HealthChecker{s.bootstrap, storageCheck{s.etcd}}
	for _, check := range s.config.ReadyChecks {
		asked := func(*http.Request) error { return check.Check() }
		checks = append(checks, s.bootstrap.before(healthz.NamedCheck(check.Name, asked)))
	}
	return api.AddReadyzChecks(checks...)
}

// Run serves until ctx ends or the storage fails, then closes everything.
func (s *Server) Run(ctx context.Context) error {
	var err error
	s.once.Do(func() { err = s.run(ctx) })
	return err
}

// Close ends a Server that never ran; after Run it does nothing. What the API server is made of began
// to work when it was built and ends only after a run, so there is a run, as short as can be.
func (s *Server) Close() error {
	ended, end := context.WithCancel(context.Background())
	end()
	return s.Run(ended)
}

func (s *Server) run(ctx context.Context) error {
	prepared := s.api.GenericAPIServer.PrepareRun()
	group, ctx := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error { return prepared.RunWithContext(serving) })
	group.Go(func() error {
		defer end()
		s.awaitAlive(serving)
		<-ctx.Done()
		return nil
	})
	group.Go(func() error { return s.etcd.watch(ctx) })
	group.Go(func() error { return s.bootstrap.run(ctx) })
	group.Go(func() error { return s.keepRenewed(ctx) })
	return errors.Join(group.Wait(), s.release())
}

// startGrace is how long the end waits for the start.
const startGrace = 10 * time.Second

// awaitAlive waits until the API server has started. If its context ends before, one of its hooks fails,
// and the library ends the whole process.
func (s *Server) awaitAlive(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, startGrace)
	defer cancel()
	for ctx.Err() == nil && s.clients.typed.Discovery().RESTClient().Get().AbsPath("/livez").Do(ctx).Error() != nil {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// release gives back what open took, as far as it came.
func (s *Server) release() error {
	var err error
	if s.listener != nil {
		s.listener.Close() // the API server may have closed it
	}
	if s.etcd != nil {
		err = s.etcd.close()
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Ready is closed when every kind can be used.
func (s *Server) Ready() <-chan struct{} { return s.bootstrap.done }

// Address is where the API listens, "host:port".
func (s *Server) Address() string { return s.listener.Addr().String() }

// Kubeconfig is the path of the administrator's kubeconfig.
func (s *Server) Kubeconfig() string { return s.files.kubeconfig }

// Loopback is a client configuration with all rights, for the hub's own use. The caller may change it.
func (s *Server) Loopback() *rest.Config { return rest.CopyConfig(s.loopback) }
