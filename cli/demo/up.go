package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
	"github.com/isthmus-mesh/isthmus/examples"
	"github.com/isthmus-mesh/isthmus/tools/envoy"
)

// patience is how long one part may take to come up.
const patience = 30 * time.Second

func (d *demo) findEnvoy(ctx context.Context) (err error) {
	if d.Envoy == "" {
		d.Envoy, err = envoy.Path(ctx, d.Out)
	}
	return err
}

func (d *demo) startHub(ctx context.Context) error {
	if err := d.start(d.hubProgram()); err != nil {
		return err
	}
	return until(ctx, patience, d.running(), func(ctx context.Context) error {
		config, err := clientcmd.BuildConfigFromFlags("", d.kubeconfig())
		if err != nil {
			return err
		}
		if d.hub, err = hubclient.New(config, time.Now); err != nil {
			return err
		}
		if err := d.hub.Ready(ctx); err != nil {
			return err
		}
		_, err = d.hub.Info(ctx) // what tokens are made of
		return err
	})
}

func (d *demo) startEdge(ctx context.Context) error {
	token, err := d.edgeToken(ctx)
	if err != nil {
		return err
	}
	if err := d.start(d.edgeProgram(token)); err != nil {
		return err
	}
	return until(ctx, patience, d.running(), func(ctx context.Context) error {
		z, err := d.hub.Zone(ctx, zone)
		if err == nil && z.Status.Edges == 0 {
			err = errors.New("the edge has not connected to the hub")
		}
		return err
	})
}

// edgeToken makes the zone and the token of its edge; it is empty when the edge was admitted before.
func (d *demo) edgeToken(ctx context.Context) (string, error) {
	if d.joined() {
		return "", nil
	}
	if _, err := d.hub.Zone(ctx, zone); err != nil {
		if err := d.hub.CreateZone(ctx, zone, v1alpha1.ZoneSpec{Type: v1alpha1.ZoneMachines}); err != nil {
			return "", err
		}
	}
	token, err := d.hub.CreateToken(ctx, hubclient.TokenRequest{Role: v1alpha1.JoinEdge, Zone: zone, TTL: time.Hour})
	return token.String(), err
}

// applyShop applies examples/shop.yaml, with the gateway on our port. A second run does so too:
// what was tried before, a canary for instance, starts afresh.
func (d *demo) applyShop(ctx context.Context) error {
	text, err := examples.Files.ReadFile("shop.yaml")
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("port: 8080"), fmt.Appendf(nil, "port: %d", d.IngressPort))
	return until(ctx, patience, d.running(), func(ctx context.Context) error {
		return d.apply(ctx, text)
	})
}

func (d *demo) startApps(ctx context.Context) error {
	var apps []program
	for _, r := range cast {
		apps = append(apps, d.appProgram(r))
	}
	return d.start(apps...)
}

func (d *demo) startAgents(ctx context.Context) error {
	token, err := d.memberToken(ctx, hubclient.TokenRequest{Role: v1alpha1.JoinGateway, Service: gateway})
	if err != nil {
		return err
	}
	agents := []program{d.gatewayProgram(token)}
	for _, r := range cast {
		token, err := d.memberToken(ctx, hubclient.TokenRequest{Role: v1alpha1.JoinWorkload, Service: r.service})
		if err != nil {
			return err
		}
		agents = append(agents, d.agentProgram(r, token))
	}
	if err := d.start(agents...); err != nil {
		return err
	}
	return until(ctx, patience, d.running(), func(ctx context.Context) error {
		n, err := d.connected(ctx)
		if err == nil && n < len(agents) {
			err = fmt.Errorf("%d of %d have joined", n, len(agents))
		}
		return err
	})
}

// connected counts the workloads whose agents are there.
func (d *demo) connected(ctx context.Context) (n int, err error) {
	workloads, err := d.hub.WorkloadsIn(ctx, zone)
	for _, w := range workloads {
		if w.Status.Connected {
			n++
		}
	}
	return n, err
}

// memberToken makes the token of a workload or gateway; it is empty when it has joined before.
func (d *demo) memberToken(ctx context.Context, request hubclient.TokenRequest) (string, error) {
	if d.joined() {
		return "", nil
	}
	request.Zone, request.Workspace, request.TTL = zone, workspace, time.Hour
	token, err := d.hub.CreateToken(ctx, request)
	return token.String(), err
}

// awaitAnswers waits until every service answers, through the gateway.
func (d *demo) awaitAnswers(ctx context.Context) error {
	err := until(ctx, patience, d.running(), func(ctx context.Context) error {
		_, err := d.load.ask(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return d.noteJoined()
}
