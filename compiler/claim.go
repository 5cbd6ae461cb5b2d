package compiler

import (
	"slices"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler/plan"
)

// claimant is a workspace that claims a pattern of hostnames.
type claimant struct {
	workspace *v1alpha1.Workspace
	pattern   string
}

// older says which of two claims is the elder one.
func (c *claimant) older(other *claimant) bool {
	return other == nil || older(c.workspace, other.workspace) < 0
}

// claim computes unitClaim: the oldest workspace that claims the pattern. Others that claim it too
// are told so, and the owner as well.
func claim(w *work) any {
	var claimants []*v1alpha1.Workspace
	for m := range w.members() {
		claimants = append(claimants, m.(*v1alpha1.Workspace))
	}
	if claimants == nil {
		return nil
	}
	slices.SortFunc(claimants, func(a, b *v1alpha1.Workspace) int { return older(a, b) })
	owner, pattern := claimants[0], w.node.key.part
	for _, loser := range claimants[1:] {
		w.report(kindWorkspace, "", loser.Name, against(conditionConflicted,
			problem.HostnameClaimed.Because("spec.hostnames: %q belongs to Workspace %q, which is older", pattern, owner.Name)))
		w.report(kindWorkspace, "", owner.Name, against(conditionConflicted,
			problem.HostnameClaimed.Because("spec.hostnames: %q is also claimed by Workspace %q; yours is older and keeps it", pattern, loser.Name)))
	}
	return &claimant{owner, pattern}
}

// claimedBy finds the oldest claim that covers a hostname.
func claimedBy(w *work, hostname string) *claimant {
	var oldest *claimant
	for _, pattern := range plan.Covering(hostname) {
		if c := value[*claimant](w, key{unit: unitClaim, part: pattern}); c != nil && c.older(oldest) {
			oldest = c
		}
	}
	return oldest
}
