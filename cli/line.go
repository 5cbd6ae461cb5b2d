package cli

import (
	"context"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/cli/hubclient"
)

// line is what is pasted where a newcomer joins, made of its token.
type line func(token string) string

// lineOf finds the line for a request: that of an edge depends on what kind of zone it is for.
func lineOf(ctx context.Context, hub *hubclient.Client, request hubclient.TokenRequest) (line, error) {
	switch request.Role {
	case v1alpha1.JoinWorkload:
		return before("isthmus-agent join "), nil
	case v1alpha1.JoinGateway:
		return before("isthmus-agent gateway "), nil
	}
	zone, err := hub.Zone(ctx, request.Zone)
	return edgeLine(zone.Spec.Type, ""), err
}

// edgeLine starts an edge: here, or in the cluster that kubectl speaks to.
func edgeLine(zone v1alpha1.ZoneType, image string) line {
	if zone != v1alpha1.ZoneKubernetes {
		return before("isthmus edge --join ")
	}
	if image != "" {
		image = " --image " + image
	}
	return func(token string) string {
		return "isthmus zone manifest --join " + token + image + " | kubectl apply -f -"
	}
}

func before(command string) line { return func(token string) string { return command + token } }
