package compiler_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// renderZone prints resources as YAML documents, each under its name and with what it is made from.
// Resources that are the same in every zone are left to the archive that is about them.
func renderZone(t *testing.T, resources []*feedpb.Resource) []byte {
	var b bytes.Buffer
	for _, r := range resources {
		if r.Name == "PeerAuthentication/istio-system/default" || strings.HasPrefix(r.Name, "Zone/") {
			continue
		}
		fmt.Fprintf(&b, "# %s\n", r.Name)
		for _, o := range r.Origins {
			fmt.Fprintf(&b, "#   from %s/%s/%s %s\n", o.Kind, o.Namespace, o.Name, o.Field)
		}
		for _, label := range slices.Sorted(maps.Keys(r.Labels)) {
			fmt.Fprintf(&b, "#   label %s: %s\n", label, r.Labels[label])
		}
		b.Write(renderBody(t, r))
		b.WriteString("---\n")
	}
	return b.Bytes()
}

func renderBody(t *testing.T, r *feedpb.Resource) []byte {
	body, err := r.Body.UnmarshalNew()
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	if secret, is := body.(*feedpb.Secret); is {
		return fmt.Appendf(nil, "certificate: %d, key: %d, ca: %d bytes set\n", min(1, len(secret.Certificate)), min(1, len(secret.Key)), min(1, len(secret.Ca)))
	}
	text, err := protojson.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	out, err := yaml.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// renderStatuses prints the statuses of all objects, one line a condition; what is as wished only in
// one word.
func (w *world) renderStatuses() []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(w.statuses)) {
		s := w.statuses[name]
		fmt.Fprintf(&b, "%s%s\n", name, good(s.Conditions))
		if len(s.Parents) == 0 {
			renderConditions(&b, "  ", s.Conditions)
		}
		for i, p := range s.Parents {
			fmt.Fprintf(&b, "  parent %d %s%s\n", i, p.ParentRef.Name, good(p.Conditions))
			renderConditions(&b, "    ", p.Conditions)
		}
		for _, l := range s.Listeners {
			fmt.Fprintf(&b, "  listener %s: %d routes, %s%s\n", l.Name, l.AttachedRoutes, kinds(l.SupportedKinds), good(l.Conditions))
			renderConditions(&b, "    ", l.Conditions)
		}
		if len(s.Zones) > 0 {
			fmt.Fprintf(&b, "  in %s: %s\n", strings.Join(s.Zones, " "), strings.Join(s.Resources, " "))
		}
	}
	return b.Bytes()
}

func kinds[T any](all []T) string {
	text, _ := json.Marshal(all)
	var named []struct{ Kind string }
	_ = json.Unmarshal(text, &named)
	var names []string
	for _, k := range named {
		names = append(names, k.Kind)
	}
	return strings.Join(names, "+")
}

// asWished says whether a condition is nothing to talk about.
func asWished(c metav1.Condition) bool {
	return (c.Type == "Accepted" || c.Type == "ResolvedRefs") && c.Status == metav1.ConditionTrue && c.Reason == c.Type
}

func good(conditions []metav1.Condition) string {
	for _, c := range conditions {
		if !asWished(c) {
			return ""
		}
	}
	return " ok"
}

func renderConditions(b *bytes.Buffer, indent string, conditions []metav1.Condition) {
	for _, c := range conditions {
		if !asWished(c) {
			fmt.Fprintf(b, "%s%s=%s %s: %s\n", indent, c.Type, c.Status, c.Reason, c.Message)
		}
	}
}
