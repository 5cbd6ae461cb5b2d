package hub

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/compiler"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func condition(name string, status metav1.ConditionStatus) metav1.Condition {
	return metav1.Condition{Type: name, Status: status, Reason: "Because"}
}

func TestProgrammedDependsOnParentAndListener(t *testing.T) {
	refused, good := []metav1.Condition{condition("Accepted", "False")}, []metav1.Condition{condition("Accepted", "True")}
	badCertificate := []metav1.Condition{condition("Accepted", "True"), condition("ResolvedRefs", "False")}
	d := compiled(compiler.ObjectStatus{
		Kind:      "Gateway",
		Parents:   []gatewayv1.RouteParentStatus{{Conditions: refused}, {Conditions: good}},
		Listeners: []gatewayv1.ListenerStatus{{Conditions: badCertificate}, {Conditions: good}},
	})
	d.sayProgrammed(condition("Programmed", "True"))
	for what, c := range map[string]struct {
		conditions []metav1.Condition
		want       metav1.ConditionStatus
	}{
		"Object":            {d.Conditions, "True"},
		"ParentRefused":     {d.Parents[0].Conditions, "False"},
		"ParentAccepted":    {d.Parents[1].Conditions, "True"},
		"ListenerUnsecured": {d.Listeners[0].Conditions, "False"},
		"ListenerGood":      {d.Listeners[1].Conditions, "True"},
	} {
		if got := find(c.conditions, "Programmed").Status; got != c.want {
			t.Errorf("%s: Programmed is %s, want %s", what, got, c.want)
		}
	}
}

func TestTransitionTimeIsKeptWhileTheStatusIs(t *testing.T) {
	before := document{Conditions: []metav1.Condition{condition("Accepted", "True"), condition("Programmed", "False")}}
	before.settle(document{}, noon)
	after := document{Conditions: []metav1.Condition{condition("Accepted", "True"), condition("Programmed", "True")}}
	after.settle(before, noon.Add(time.Hour))
	if got := find(after.Conditions, "Accepted").LastTransitionTime.Time; !got.Equal(noon) {
		t.Errorf("Accepted did not change, but its time did: %v", got)
	}
	if got := find(after.Conditions, "Programmed").LastTransitionTime.Time; !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("Programmed changed, but its time did not: %v", got)
	}
}

// A document that was stored and read back must not be written again, kind by kind.
func TestWhatIsStoredIsNotWrittenAgain(t *testing.T) {
	conditions := []metav1.Condition{condition("Accepted", "True")}
	edges := int32(2)
	wish := map[string]struct {
		document
		object any
	}{
		"Service":   {document{Conditions: conditions}, &v1alpha1.Service{}},
		"Zone":      {document{Conditions: conditions, Edges: &edges, Addresses: marshalled(words([]string{"a:1"}))}, &v1alpha1.Zone{}},
		"Cluster":   {document{Conditions: conditions, Edges: &edges, Addresses: marshalled(words([]string{"a:1"})), Cluster: marshalled(clusterStatus(&feedpb.Cluster{Pods: 1, Unmanaged: map[string]uint32{"Sidecar": 1}, Gateways: []*feedpb.ClusterGateway{{Namespace: "gw", Name: "pending"}}}))}, &v1alpha1.Zone{}},
		"HTTPRoute": {document{Conditions: conditions, Parents: []gatewayv1.RouteParentStatus{{ControllerName: "c", Conditions: conditions}}}, &gatewayv1.HTTPRoute{}},
		"Gateway": {document{Conditions: conditions, Listeners: []gatewayv1.ListenerStatus{{Name: "l", SupportedKinds: []gatewayv1.RouteGroupKind{}, Conditions: conditions}}},
			&gatewayv1.Gateway{Status: gatewayv1.GatewayStatus{Addresses: []gatewayv1.GatewayStatusAddress{{Value: "10.0.0.1"}}}}},
	}
	for kind, c := range wish {
		t.Run(kind, func(t *testing.T) {
			c.settle(document{}, noon)
			text, err := json.Marshal(map[string]any{"status": c.document})
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, c.object); err != nil {
				t.Fatal(err)
			}
			stored := documentOf(c.object.(apiserver.Viewable))
			again := c.document
			again.settle(stored, noon.Add(time.Hour))
			if !stored.covers(again) {
				t.Errorf("stored %+v does not cover %+v", stored, again)
			}
			again.Conditions = []metav1.Condition{condition("Accepted", "False")}
			if kind != "HTTPRoute" && stored.covers(again) {
				t.Error("a change of Accepted is not seen")
			}
		})
	}
}

func TestControllerIsOne(t *testing.T) {
	if apiserver.ControllerName != string(compiler.ControllerName) {
		t.Errorf("the class the hub provides names %s, the compiler serves %s", apiserver.ControllerName, compiler.ControllerName)
	}
}
