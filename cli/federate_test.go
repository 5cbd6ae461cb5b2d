package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/identity"
)

func rootOf(t *testing.T, domain string) (text, fingerprint string) {
	t.Helper()
	key, err := identity.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	root, err := identity.NewRoot(domain, key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return string(identity.EncodeCertificates(root.Roots())), identity.Fingerprint(root.Certificate())
}

func showing(roots string, domains ...string) v1alpha1.Zone {
	zone := v1alpha1.Zone{Spec: v1alpha1.ZoneSpec{Type: v1alpha1.ZoneKubernetes}}
	zone.Name = "prod-1"
	zone.Status.Cluster = &v1alpha1.ClusterStatus{Istio: v1alpha1.IstioStatus{TrustDomains: domains, Roots: roots, Trust: v1alpha1.TrustOwn}}
	return zone
}

// What is trusted is what the user names and the cluster shows.
func TestFederateAcceptsWhatIsNamedAndShown(t *testing.T) {
	a, one := rootOf(t, "a")
	b, other := rootOf(t, "b")
	found, err := shownBy(showing(a+b, "prod-1.example"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := found.words(&out); err != nil || !strings.Contains(out.String(), "isthmus zone federate prod-1 --root "+one+" --root "+other) {
		t.Errorf("%v: %s", err, &out)
	}
	if data := found.data(); len(data.Roots) != 2 || data.Roots[0].SHA256 != one || data.Roots[1].SHA256 != other || data.TrustDomains[0] != "prod-1.example" {
		t.Errorf("as data it is %+v", data)
	}
	trust, err := found.accept(federation{roots: []string{strings.ToUpper(one[:2]) + ":" + one[2:]}})
	if err != nil || *trust != (v1alpha1.ZoneTrust{Domain: "prod-1.example", Roots: a}) {
		t.Errorf("%v: %v", err, trust)
	}
	_, stranger := rootOf(t, "c")
	if trust, err := found.accept(federation{roots: []string{one, stranger}}); err == nil {
		t.Errorf("a root that the cluster does not show is trusted: %v", trust)
	}
	if trust, err := found.accept(federation{domain: "prod-l.example", roots: []string{one}}); err == nil {
		t.Errorf("a trust domain that the cluster does not show is trusted: %v", trust)
	}
	twice, err := shownBy(showing(a, "prod-1.example", "cluster.local"))
	if err != nil {
		t.Fatal(err)
	}
	if trust, err := twice.accept(federation{roots: []string{one}}); err == nil {
		t.Errorf("of two trust domains one is chosen: %v", trust)
	}
}

func TestFederateNeedsARootOfTheClustersOwn(t *testing.T) {
	mesh, silent, machines := showing(""), showing(""), v1alpha1.Zone{}
	mesh.Status.Cluster.Istio.Trust = v1alpha1.TrustMesh
	silent.Status.Cluster = nil
	for words, zone := range map[string]v1alpha1.Zone{"the mesh's root": mesh, "has not told": silent, "one of machines": machines} {
		if _, err := shownBy(zone); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
	}
}

// A cluster trusts the mesh and the federated clusters beside it, each root for its own trust domain.
func TestIstiodValues(t *testing.T) {
	a, _ := rootOf(t, "a")
	b, _ := rootOf(t, "b")
	workspace := func(zones ...string) v1alpha1.Workspace {
		return v1alpha1.Workspace{Spec: v1alpha1.WorkspaceSpec{Zones: zones}}
	}
	zone := func(name, domain, roots string) v1alpha1.Zone {
		z := v1alpha1.Zone{Spec: v1alpha1.ZoneSpec{Trust: &v1alpha1.ZoneTrust{Domain: domain, Roots: roots}}}
		z.Name = name
		return z
	}
	zones := []v1alpha1.Zone{zone("prod-1", "prod-1.example", a), zone("prod-2", "prod-2.example", a+b), zone("prod-3", "prod-3.example", b)}
	trusted := neighbours("prod-1", zones, []v1alpha1.Workspace{workspace("prod-1/store", "prod-2/store"), workspace("prod-3")})
	if len(trusted) != 1 || trusted[0].Domain != "prod-2.example" {
		t.Fatalf("trusts %v", trusted)
	}
	values, err := istiodValues(trusted)
	if err != nil {
		t.Fatal(err)
	}
	if all := values["meshConfig"].(map[string]any)["caCertificates"].([]map[string]any); len(all) != 2 || all[0]["pem"] != a || all[1]["pem"] != b {
		t.Errorf("istiod is told %v", all)
	}
}
