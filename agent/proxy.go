package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/isthmus-mesh/isthmus/agent/envoy"
	"github.com/isthmus-mesh/isthmus/agent/relay"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/machine/xds"
)

// saveDelay gathers changes of the accepted configuration before they are written.
const saveDelay = 200 * time.Millisecond

// maxRequest is the largest request of Envoy, in bytes: the first one describes all its extensions.
const maxRequest = 16 << 20

// runProxy runs Envoy under the name an edge gave it, or gives it another if an edge does.
func (a *agent) runProxy(ctx context.Context) error {
	m, err := a.awaitMember(ctx, "")
	for err == nil {
		m, err = a.proxyAs(ctx, m)
	}
	return err
}

// awaitMember waits until an edge calls Envoy something else than known.
func (a *agent) awaitMember(ctx context.Context, known string) (membership, error) {
	for {
		select {
		case m := <-a.member:
			if m.NodeID != "" && m.NodeID != known {
				return m, nil
			}
		case <-ctx.Done():
			return membership{}, ctx.Err()
		}
	}
}

// proxyAs runs Envoy, and what it dials, until an edge gives it another name, which is returned.
func (a *agent) proxyAs(ctx context.Context, m membership) (membership, error) {
	select {
	case <-a.envoyFound:
	case <-ctx.Done():
		return m, ctx.Err()
	}
	spec := a.spec
	spec.Path, spec.NodeID = a.envoyPath, m.NodeID
	listener, err := spec.Listen()
	if err != nil {
		return m, err
	}
	server := xds.NewServer(grpc.MaxRecvMsgSize(maxRequest))
	a.relay.SetNode(m.NodeID)
	a.relay.Register(server)
	a.secrets.Register(server)
	proxy := envoy.New(spec, a.proxyChanged, a.config.Log)
	if last := a.proxy.Load(); last.Draining() || !a.proxy.CompareAndSwap(last, proxy) {
		<-ctx.Done() // the workload is leaving: nothing is started any more
		return m, ctx.Err()
	}

	var next membership
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return proxy.Run(ctx) })
	work.Go(func() error { return server.Serve(listener) })
	work.Go(func() error { <-ctx.Done(); server.Stop(); return nil })
	work.Go(func() error {
		next, err = a.awaitMember(ctx, m.NodeID)
		return errors.Join(errRenamed, err)
	})
	if err := work.Wait(); !errors.Is(err, errRenamed) || next.NodeID == "" {
		return m, err
	}
	a.config.Log.Info("Envoy gets another name", "was", m.NodeID, "is", next.NodeID)
	return next, nil
}

var errRenamed = errors.New("renamed")

// equipProxy decides how Envoy is run and makes its folders.
func (a *agent) equipProxy() error {
	user, err := a.envoyUser()
	if err != nil {
		return err
	}
	a.spec = envoy.Spec{Dir: a.folder.path("proxy"), User: user, LowPorts: a.holder.now.Load().Role == RoleGateway}
	if err := a.spec.Prepare(); err == nil {
		return nil
	}
	a.spec.Dir = a.runtimeDir()
	return errors.Join(folder(filepath.Dir(a.spec.Dir)).make(), a.spec.Prepare())
}

// runtimeDir is where Envoy's files are if its user cannot reach the data directory, or if that
// makes too long a name for a socket.
func (a *agent) runtimeDir() string {
	root := os.Getenv("XDG_RUNTIME_DIR")
	if os.Getuid() == 0 {
		root = "/run"
	}
	absolute, err := filepath.Abs(a.config.Data)
	if err != nil {
		absolute = a.config.Data
	}
	sum := sha256.Sum256([]byte(absolute))
	return filepath.Join(root, "isthmus-agent", hex.EncodeToString(sum[:6]))
}

// searchPause is the pause between searches for a missing Envoy.
const searchPause = 10 * time.Second

// findEnvoy looks for Envoy while the agent talks to the edge, since it can take a while.
func (a *agent) findEnvoy(ctx context.Context) error {
	defer close(a.envoyFound)
	if a.envoyPath = a.settings.Envoy; a.envoyPath != "" {
		return nil
	}
	for {
		path, err := a.config.FindEnvoy(ctx)
		if err == nil {
			a.envoyPath = path
			a.board.Clear("envoy")
			return nil
		}
		a.config.Log.Error("no Envoy", "err", err)
		a.board.Set("envoy", problem.EnvoyMissing, err.Error())
		select {
		case <-time.After(searchPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// equipRelay reads what Envoy accepted last. The names among it are known from then on.
func (a *agent) equipRelay() error {
	saved, err := os.ReadFile(a.folder.accepted())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.relay, err = relay.New(relay.Config{
		Saved: saved, SaveDelay: saveDelay, Edge: a.edge, Log: a.config.Log,
		Save:    func(content []byte) error { return durable.WriteFile(a.folder.accepted(), content) },
		Names:   a.learnNames,
		Verdict: a.judged,
		Saves: func(err error) {
			if err != nil {
				a.board.Set("cache", problem.CacheNotSaved, err.Error())
				return
			}
			a.board.Clear("cache")
		},
	})
	if errors.Is(err, relay.ErrDamaged) {
		a.board.Set("cache", problem.CacheDamaged, err.Error())
		err = os.Rename(a.folder.accepted(), a.folder.accepted()+".damaged")
	}
	return err
}

// edge is the relay's way to an edge.
func (a *agent) edge(ctx context.Context) (grpc.ClientConnInterface, error) { return a.link.Conn(ctx) }

func (a *agent) learnNames(table map[string][]netip.Addr) {
	if a.names != nil {
		a.names.SetTable(table)
	}
}

// judged hears of every answer of Envoy to configuration.
func (a *agent) judged(typeURL, rejection string) {
	text := ""
	if rejection != "" {
		text = fmt.Sprintf("%s: %s", shortType(typeURL), rejection)
	}
	a.board.Put("rejection "+typeURL, problem.ConfigurationRejected, text)
}

// proxyChanged hears of every change of Envoy's state.
func (a *agent) proxyChanged(s envoy.State) {
	text := ""
	if !s.Ready {
		text = s.Reason
	}
	if a.crashes.note(s.Ends) {
		a.health.setRemark(a.crashes.words())
	}
	a.board.Put("envoy", problem.EnvoyNotReady, text)
	a.health.setEnvoy(s.Ready, s.Reason)
}
