package compiler_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/identity"
)

func rootOf(t *testing.T, domain string) string {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.NewRoot(domain, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return string(identity.EncodeCertificates(root.Roots()))
}

// cluster is a zone that is one, trusted for a domain unless that is empty. Age is in hours.
func cluster(name string, age int, domain, roots string) compiler.Change {
	zone := &v1alpha1.Zone{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1, CreationTimestamp: metav1.NewTime(time.Unix(int64(-3600*age), 0))},
		Spec:       v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes},
	}
	if domain != "" {
		zone.Spec.Trust = &v1alpha1.ZoneTrust{Domain: domain, Roots: roots}
	}
	return compiler.Change{Kind: "Zone", Name: name, Object: zone}
}

func machines(name string) compiler.Change {
	return compiler.Change{Kind: "Zone", Name: name, Object: &v1alpha1.Zone{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}}
}

func sharing(name string, zones ...string) compiler.Change {
	return compiler.Change{Kind: "Workspace", Name: name, Object: &v1alpha1.Workspace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}, Spec: v1alpha1.WorkspaceSpec{Zones: zones},
	}}
}

func domainNames(domains []*feedpb.TrustDomain) string {
	var names []string
	for _, d := range domains {
		names = append(names, d.Name)
	}
	return strings.Join(names, " ")
}

// A federated cluster's roots go to the zones with which it shares a workspace, and the cluster learns what it is trusted for.
func TestFederatedRootsGoToNeighbours(t *testing.T) {
	c := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
	all := []compiler.Change{
		machines("dc1"), machines("dc2"), cluster("prod-1", 1, "prod-1.example", rootOf(t, "a")), cluster("prod-2", 1, "prod-2.example", rootOf(t, "b")),
		sharing("shop", "dc1", "prod-1/store", "prod-2/store"), sharing("bank", "dc1", "prod-1/bank"), sharing("lab", "dc2"),
	}
	out := c.Apply(1, all)
	for zone, want := range map[string]string{"dc1": "prod-1.example prod-2.example", "dc2": "", "prod-1": "prod-2.example", "prod-2": "prod-1.example"} {
		if got := domainNames(zoneFacts(t, out, zone).GetFederated()); got != want {
			t.Errorf("%s trusts %q, want %q", zone, got, want)
		}
	}
	if own := zoneFacts(t, out, "prod-1").GetTrust(); own.GetName() != "prod-1.example" || len(own.GetRoots()) != 1 {
		t.Errorf("prod-1 is trusted for %v", own)
	}
	if own := zoneFacts(t, out, "dc1").GetTrust(); own != nil {
		t.Errorf("dc1 is trusted for %v", own)
	}
	out = c.Apply(2, []compiler.Change{cluster("prod-1", 1, "", ""), cluster("prod-2", 1, "", "")})
	for _, zone := range []string{"dc1", "prod-1"} {
		if info := zoneFacts(t, out, zone); info == nil || len(info.Federated) > 0 || info.Trust != nil {
			t.Errorf("%s, federated no more: %v", zone, info)
		}
	}
}

func TestTrustDomainsHaveOneRoot(t *testing.T) {
	a, b := rootOf(t, "a"), rootOf(t, "b")
	for name, test := range map[string]struct {
		zones  []compiler.Change
		reason map[string]string // of zones that are not accepted
		trusts string
	}{
		"Mesh":       {[]compiler.Change{cluster("prod-1", 1, "isthmus.local", a)}, map[string]string{"prod-1": "TrustDomainTaken"}, ""},
		"SameRoot":   {[]compiler.Change{cluster("prod-1", 1, "x.example", a), cluster("prod-2", 2, "x.example", a)}, nil, "x.example"},
		"OtherRoot":  {[]compiler.Change{cluster("prod-1", 1, "x.example", a), cluster("prod-2", 2, "x.example", b)}, map[string]string{"prod-1": "TrustDomainTaken"}, "x.example"},
		"Unreadable": {[]compiler.Change{cluster("prod-1", 1, "x.example", "no PEM")}, map[string]string{"prod-1": "Invalid"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := compiler.New(compiler.Options{TrustDomain: "isthmus.local"})
			out := c.Apply(1, append(test.zones, machines("dc1"), sharing("shop", "dc1", "prod-1/shop", "prod-2/shop")))
			if got := domainNames(zoneFacts(t, out, "dc1").GetFederated()); got != test.trusts {
				t.Errorf("dc1 trusts %q, want %q", got, test.trusts)
			}
			for _, status := range out.Statuses {
				reason := ""
				for _, condition := range status.Conditions {
					if condition.Type == v1alpha1.ConditionAccepted && condition.Status == metav1.ConditionFalse {
						reason = condition.Reason
					}
				}
				if status.Kind == "Zone" && reason != test.reason[status.Name] {
					t.Errorf("zone %s: %v", status.Name, status.Conditions)
				}
			}
		})
	}
}
