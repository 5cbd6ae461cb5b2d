package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// hostname computes unitHostname: it decides which workspace serves a hostname at gateways, lets
// that one's routes through, and reports to the routes of others. The name belongs to the oldest
// workspace that claims it; if none does, to the workspace of the oldest route that uses it.
func hostname(w *work) any {
	uses := make([]use, 0, len(w.node.members))
	for m := range w.members() {
		uses = append(uses, m.(use))
	}
	if len(uses) == 0 {
		return nil
	}
	slices.SortStableFunc(uses, func(a, b use) int { return a.route.older(b.route) })
	contest := contest{work: w, host: w.node.key.part, claim: claimedBy(w, w.node.key.part)}
	for _, u := range uses {
		contest.admit(u)
	}
	return nil
}

// contest decides about one hostname, use by use, the oldest first.
type contest struct {
	*work
	host  string
	claim *claimant
	// winner is the first use that was admitted.
	winner *use
}

func (c *contest) admit(u use) {
	namespace := u.route.key.namespace
	listed := value[*workspace](c.work, workspaceKey(namespace))
	switch {
	case c.claim != nil && c.claim.workspace.Name != namespace:
		c.refuse(u, problem.HostnameClaimed.Because("hostname %q belongs to Workspace %q", c.host, c.claim.workspace.Name))
	case c.claim == nil && listed != nil && listed.listed:
		c.refuse(u, problem.HostnameNotListed.Because("hostname %q is not in spec.hostnames of Workspace %q", c.host, namespace))
		return
	case c.winner != nil && c.winner.route.key.namespace != namespace:
		c.refuse(u, problem.HostnameClaimed.Because("hostname %q is used by workspace %q, whose route %q is older",
			c.host, c.winner.route.key.namespace, c.winner.route.key.name))
	default:
		u.attach(c.work)
		if c.winner == nil {
			c.winner = &u
		}
		return
	}
	c.tell(u)
}

// refuse reports to a route that it does not serve the hostname.
func (c *contest) refuse(u use, err *problem.Error) {
	k, f := u.route.key, against(conditionConflicted, err).at(u.parent)
	f.lost = true
	c.report(k.kind, k.namespace, k.name, f)
}

// tell reports to the winning route that another one wants its hostname.
func (c *contest) tell(loser use) {
	if c.winner == nil {
		return
	}
	k := c.winner.route.key
	c.report(k.kind, k.namespace, k.name, against(conditionConflicted,
		problem.HostnameClaimed.Because("hostname %q is also used by route %s/%s; this one keeps it", c.host, loser.route.key.namespace, loser.route.key.name)).
		at(c.winner.parent))
}

// older orders routes by the rule of the Gateway API: age, then namespace and name.
func (r *routed) older(other *routed) int {
	switch {
	case r.created.Before(&other.created):
		return -1
	case other.created.Before(&r.created):
		return 1
	}
	return compareNames(r.key.namespace, r.key.name, other.key.namespace, other.key.name)
}
