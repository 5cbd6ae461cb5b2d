package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/isthmus-mesh/isthmus/cli/hubclient"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// Config says what the demo runs and where.
type Config struct {
	// Data is the folder of everything that is kept, and of the logs.
	Data string
	// Isthmus, Agent and Shop are the programs.
	Isthmus, Agent, Shop string
	// Envoy is the proxy; empty means: find or fetch it.
	Envoy string
	// PortBase is the first of the TCP ports that hub, edge and applications use on 127.0.0.1.
	PortBase int
	// IngressPort is where the shop opens, on every address.
	IngressPort int
	// Network is the first three numbers of the Envoys' loopback addresses, for instance "127.1.0".
	Network string
	// Check ends the demo with success as soon as it has proved that it works.
	Check bool
	// Out is told how far it is, and what may be tried. Terminal is whether it is one.
	Out      io.Writer
	Terminal bool
}

// demo is one run.
type demo struct {
	Config
	lock *os.File
	hub  *hubclient.Client
	load *load
	// stages are what was started, in that order.
	stages []stage
	// deaths receives a process that ended, whether asked to or not.
	deaths chan *process
}

// Run runs the demo until ctx ends, or until it is proved with Config.Check. It returns nil then, and
// an error, one sentence, when the demo could not start.
func Run(ctx context.Context, config Config) error {
	d := &demo{Config: config, deaths: make(chan *process, 2*len(cast)+3)} // applications, agents, gateway, hub, edge
	d.load = newLoad("http://" + d.ingress() + "/")
	err := d.up(ctx)
	if err == nil && !d.Check {
		d.perform(ctx)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	return errors.Join(err, d.down())
}

func (d *demo) up(ctx context.Context) error {
	began := time.Now()
	steps := []step{
		{"looking at this machine", d.prepare},
		{"finding Envoy " + envoy.Version, d.findEnvoy},
		{"starting the hub", d.startHub},
		{"starting the edge of zone " + zone, d.startEdge},
		{"applying the shop's objects", d.applyShop},
		{"starting " + strconv.Itoa(len(cast)) + " applications", d.startApps},
		{"joining them, each with an Envoy", d.startAgents},
		{"waiting for the first answers", d.awaitAnswers},
	}
	if d.Check {
		steps = append(steps, step{"checking", d.check})
	}
	if err := walk(ctx, d.Out, steps); err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "Ready after %.1fs.\n", time.Since(began).Seconds())
	return nil
}

// start starts programs as one stage.
func (d *demo) start(programs ...program) error {
	var s stage
	defer func() { d.stages = append(d.stages, s) }()
	for _, p := range programs {
		started, err := start(d.Data, p, d.deaths)
		if started != nil {
			s = append(s, started)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// running is everything that was started.
func (d *demo) running() stage {
	var all stage
	for _, s := range d.stages {
		all = append(all, s...)
	}
	return all
}

// down ends everything that was started, the last first, and waits for it.
func (d *demo) down() error {
	if d.lock == nil {
		return nil
	}
	if len(d.stages) > 0 {
		fmt.Fprint(d.Out, "Ending everything … ")
		began := time.Now()
		defer func() { fmt.Fprintf(d.Out, "done, %.1fs.\n", time.Since(began).Seconds()) }()
	}
	var failures []error
	for i := len(d.stages) - 1; i >= 0; i-- {
		d.stages[i].stop(d.Data)
		failures = append(failures, endEnvoys(d.Data))
	}
	return errors.Join(append(failures, d.lock.Close())...)
}

// perform keeps a load running and says how it goes, until ctx ends.
func (d *demo) perform(ctx context.Context) {
	d.invite()
	var loading sync.WaitGroup
	loading.Go(func() { d.load.run(ctx) })
	d.watch(ctx)
	loading.Wait()
}
