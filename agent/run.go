package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/isthmus-mesh/isthmus/agent/attend"
	"github.com/isthmus-mesh/isthmus/agent/dns"
	"github.com/isthmus-mesh/isthmus/agent/envoy"
	"github.com/isthmus-mesh/isthmus/agent/relay"
	"github.com/isthmus-mesh/isthmus/agent/sds"
	"github.com/isthmus-mesh/isthmus/agent/status"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Config is what [Run] needs; all fields are required but Leave and Override.
type Config struct {
	// Data directory of a machine that has joined.
	Data string
	// Version of the agent.
	Version string
	// FindEnvoy returns the path of Envoy when the settings name none, and EnvoyVersion is the version
	// it finds.
	FindEnvoy    func(context.Context) (string, error)
	EnvoyVersion string
	// Leave makes the workload leave when it is closed or receives. May be nil.
	Leave <-chan struct{}
	// Override changes the settings of agent.json for this run. May be nil.
	Override func(*Settings)
	Now      func() time.Time
	Log      *slog.Logger
}

// agent is a running agent. Its parts are made in order by Run and live until it ends.
type agent struct {
	config   Config
	folder   folder
	settings Settings
	started  time.Time
	board    *status.Board
	holder   *holder
	secrets  *sds.Server
	link     *attend.Link
	capture  captureMode
	// knownBefore tells that the machine has been a member already when the agent started.
	knownBefore bool
	member      chan membership // holds the newest answer of an edge

	envoyFound chan struct{} // closed when envoyPath is set
	envoyPath  string

	names   *dns.Server // nil: none are answered
	sockets []nameSocket
	spec    envoy.Spec // but for path and name
	relay   *relay.Relay
	proxy   atomic.Pointer[envoy.Proxy]

	departure *departure
	health    healthState
	crashes   *crashes
}

// errLeft ends Run when the workload has left.
var errLeft = errors.New("left")

// Run is the agent's life. It returns nil when ctx ends, with Envoy running on, or when the workload has
// left, with Envoy ended. Trouble that time or people can cure does not end it, but shows in its status.
func Run(ctx context.Context, config Config) error {
	a, release, err := prepare(ctx, config)
	if err != nil {
		return err
	}
	err = a.run(ctx)
	if errors.Is(err, errLeft) || ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, release())
}

// prepare reads the disk and makes the parts that need no edge.
func prepare(ctx context.Context, config Config) (*agent, func() error, error) {
	f := folder(config.Data)
	c, err := loadCredentials(f.identity())
	if err != nil {
		return nil, nil, err
	}
	if c == nil {
		return nil, nil, notJoined(config.Data)
	}
	settings, err := loadSettings(f.settings())
	if err != nil {
		return nil, nil, err
	}
	if config.Override != nil {
		config.Override(&settings)
	}
	release, err := f.lock()
	if err != nil {
		return nil, nil, err
	}
	a := &agent{
		config: config, folder: f, settings: settings, started: config.Now(), board: status.NewBoard(config.Now),
		holder: &holder{}, secrets: sds.New(config.Log), member: make(chan membership, 1), departure: newDeparture(), crashes: newCrashes(config.Now),
		envoyFound: make(chan struct{}),
	}
	a.health.changed = make(chan struct{}, 1)
	if err := errors.Join(a.use(c), a.equip(ctx)); err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return a, release, nil
}

// equip makes what depends on the settings.
func (a *agent) equip(ctx context.Context) error {
	known := loadMembership(a.folder.member())
	if len(known.Edges) == 0 {
		return notJoined(a.config.Data)
	}
	a.federate(known.Federated)
	if a.settings.Host == "" {
		a.settings.Host, _ = os.Hostname() // for display only
	}
	if a.knownBefore = known.NodeID != ""; a.knownBefore {
		a.member <- known
	}
	var err error
	if a.capture, err = a.chooseCapture(ctx); err != nil {
		return err
	}
	addresses, err := a.addresses(known.Edges)
	if err != nil {
		return err
	}
	a.capture.ipv6 = hasIPv6(addresses)
	if err := a.equipProxy(); err != nil {
		return err
	}
	a.equipNames()
	if err := a.equipRelay(); err != nil {
		return err
	}
	version := a.config.EnvoyVersion
	if a.settings.Envoy != "" {
		version = "" // the user's own
	}
	workload := a.settings.registration(a.holder.now.Load().Instance, a.config.Version, version, addresses, a.capture.proto())
	health := &machinepb.Health{Reason: "Envoy is starting"}
	if a.knownBefore && a.spec.Running() {
		health = nil // it is as it was
	}
	a.link = attend.New(a.linkConfig(known.Edges), workload, health)
	return nil
}

func (a *agent) linkConfig(edges []string) attend.Config {
	zone := a.holder.now.Load().Zone
	accept := func(id identity.ID) error {
		if of, _, ok := id.AsEdge(); !ok || of != zone {
			return problem.PeerUntrusted.Because("%s is no edge of zone %s", id, zone)
		}
		return nil
	}
	return attend.Config{
		Edges: edges, Dial: attend.Dialer(a.capture.mark()).DialContext, TLS: identity.ClientTLS(a.holder, a.config.Now, accept),
		Answer: a.answered, Lost: a.lost, Log: a.config.Log,
	}
}

// run starts the parts and waits for them.
func (a *agent) run(ctx context.Context) error {
	socket, err := status.Listen(Socket(a.config.Data))
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return status.Serve(ctx, socket, a.report, a.askToLeave) })
	work.Go(func() error { return a.link.Run(ctx) })
	work.Go(func() error { return a.renewLoop(ctx) })
	work.Go(func() error { return a.serveNames(ctx) })
	work.Go(func() error { return a.watchHealth(ctx) })
	work.Go(func() error { return a.tellHealth(ctx) })
	work.Go(func() error { return a.forgetCrashes(ctx) })
	work.Go(func() error { return a.holdCapture(ctx, a.knownBefore) })
	work.Go(func() error { return a.findEnvoy(ctx) })
	work.Go(func() error { return a.relay.Run(ctx) })
	work.Go(func() error { return a.runProxy(ctx) })
	work.Go(func() error { return a.awaitLeave(ctx) })
	return work.Wait()
}

// answered hears of every answer of an edge.
func (a *agent) answered(answer *machinepb.AttendResponse) {
	a.board.Clear("edge")
	a.board.Put("registration", problem.RegistrationDoubtful, answer.Warning)
	old := loadMembership(a.folder.member())
	m := membership{Workload: answer.Workload, NodeID: answer.NodeId, Edges: answer.Edges, Federated: federated(answer.Federated)}
	if len(m.Edges) == 0 {
		m.Edges = old.Edges
	}
	a.federate(m.Federated)
	if err := writeJSON(a.folder.member(), m); err != nil {
		a.config.Log.Error("what the edge says cannot be saved", "err", err)
	}
	select {
	case <-a.member: // out of date
	default:
	}
	a.member <- m
}

// lost hears why there is no edge.
func (a *agent) lost(edge string, err error) {
	a.board.Set("edge", problem.EdgeAway, edge+": "+plain(err).Error())
}
