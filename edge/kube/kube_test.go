package kube_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/isthmus-mesh/isthmus/edge/kube"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// TestCluster goes through the life of an edge's objects on one real API server; each part leaves it as it was.
func TestCluster(t *testing.T) {
	w := newWorld(t)
	for _, part := range []struct {
		name string
		run  func(*world)
	}{
		{"Revisions", revisions}, {"NothingToWrite", nothingToWrite}, {"InTheWay", inTheWay}, {"OthersStay", othersStay},
		{"Refused", refused}, {"Edited", edited}, {"Removed", removed}, {"ManyDrifted", manyDrifted}, {"NamespaceMissing", namespaceMissing},
		{"RestartedEdge", restartedEdge}, {"RestartedServer", restartedServer}, {"RightsTaken", rightsTaken}, {"Unreadable", unreadable},
	} {
		t.Run(part.name, func(t *testing.T) {
			was := w.T
			w.T = t
			defer func() { w.T = was }()
			part.run(w)
		})
	}
}

func revisions(w *world) {
	w.apply(1, []*feedpb.Resource{service("a", "a.example"), service("b", "b.example")})
	if a := w.get("a"); w.hosts("a") != "a.example" || a.GetAnnotations()["isthmus.dev/origins"] != "HTTPRoute/shop/a spec.rules[0]" ||
		a.GetLabels()["isthmus.dev/zone"] != "prod-1" || a.GetManagedFields()[0].Manager != kube.FieldManager {
		w.Errorf("the cluster has %v", a)
	}
	w.apply(2, []*feedpb.Resource{service("a", "a2.example")}, "VirtualService/shop/b")
	w.eventuallyHost("a", "a2.example")
	w.eventuallyHost("b", "")
}

// nothingToWrite gives the same again: the object is not even touched.
func nothingToWrite(w *world) {
	before := w.get("a").GetResourceVersion()
	same := service("a", "a2.example")
	w.apply(3, []*feedpb.Resource{same})
	same.Origins[0].Generation++
	w.apply(4, []*feedpb.Resource{same})
	if after := w.get("a").GetResourceVersion(); after != before {
		w.Errorf("written again: %s, was %s", after, before)
	}
}

// inTheWay finds somebody's object under the name of one of ours: it stays until they remove it.
func inTheWay(w *world) {
	w.foreign("theirs", "theirs.example")
	w.apply(5, []*feedpb.Resource{service("theirs", "ours.example")})
	w.eventually("it is told", func() bool {
		message := w.refused["VirtualService/shop/theirs"]
		return strings.Contains(message, "managed by test") && strings.Contains(message, "ISM4014")
	})
	if got := w.hosts("theirs"); got != "theirs.example" {
		w.Errorf("their object leads to %q", got)
	}
	if err := w.client("shop").Delete(w.Context(), "theirs", metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	w.eventuallyHost("theirs", "ours.example")
	w.eventually("it is resolved", func() bool { return w.refused["VirtualService/shop/theirs"] == "" })
	w.apply(6, nil, "VirtualService/shop/theirs")
}

func othersStay(w *world) {
	w.foreign("other", "other.example")
	before := w.get("other")
	w.apply(7, []*feedpb.Resource{service("c", "c.example")}, "VirtualService/shop/other")
	w.apply(8, nil, "VirtualService/shop/c")
	if after := w.get("other"); after == nil || after.GetResourceVersion() != before.GetResourceVersion() {
		w.Errorf("somebody else's object is now %v", after)
	}
}

// refused gives an object the API server does not take, beside one that it does.
func refused(w *world) {
	bad := service("bad", "")
	w.apply(9, []*feedpb.Resource{bad, service("good", "good.example")})
	w.eventuallyHost("good", "good.example")
	w.eventually("it is told in the server's words", func() bool {
		return strings.Contains(w.refused["VirtualService/shop/bad"], "destination.host: Required value")
	})
	w.apply(10, []*feedpb.Resource{service("bad", "better.example")})
	w.eventually("it is resolved", func() bool { return len(w.refused) == 0 })
	w.apply(11, nil, "VirtualService/shop/bad", "VirtualService/shop/good")
}

// edited changes a field of ours, adds one, and takes our label away.
func edited(w *world) {
	for _, patch := range []string{`{"spec":{"hosts":["evil.example"]}}`, `{"spec":{"gateways":["evil"]}}`} {
		if _, err := w.client("shop").Patch(w.Context(), "a", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "mallory"}); err != nil {
			w.Fatal(err)
		}
		w.eventually("it is put back and told", func() bool {
			for _, d := range w.drifts {
				if d.Resource == "VirtualService/shop/a" && d.Manager == "mallory" {
					w.drifts = nil
					return true
				}
			}
			return false
		})
		w.eventuallyHost("a", "a2.example")
		if _, added := w.get("a").Object["spec"].(map[string]any)["gateways"]; added {
			w.Errorf("%s stays", patch)
		}
	}
}

func removed(w *world) {
	if err := w.client("shop").Delete(w.Context(), "a", metav1.DeleteOptions{}); err != nil {
		w.Fatal(err)
	}
	w.eventuallyHost("a", "a2.example")
	w.eventually("it is told", func() bool { return w.told("VirtualService/shop/a") })
}

// manyDrifted removes a few hundred objects at once.
func manyDrifted(w *world) {
	const many = 300
	var all []*feedpb.Resource
	var names []string
	for i := range many {
		name := fmt.Sprintf("many-%d", i)
		all, names = append(all, service(name, name+".example")), append(names, "VirtualService/shop/"+name)
	}
	w.apply(12, all)
	if err := w.client("shop").DeleteCollection(w.Context(), metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "isthmus.dev/zone=prod-1"}); err != nil {
		w.Fatal(err)
	}
	w.eventually("all are put back", func() bool {
		for _, name := range names {
			if !w.told(name) {
				return false
			}
		}
		return true
	})
	w.apply(13, nil, names...)
	w.eventuallyHost("many-7", "")
	w.eventuallyHost("a", "a2.example")
}

func namespaceMissing(w *world) {
	w.apply(14, []*feedpb.Resource{serviceIn("nowhere", "x", "x.example"), service("y", "y.example")})
	w.eventually("it is told", func() bool { return strings.Contains(w.refused["VirtualService/nowhere/x"], `namespace "nowhere"`) })
	w.server.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: nowhere}")
	w.eventually("it is there when the namespace is", func() bool { return len(w.refused) == 0 })
	w.apply(15, nil, "VirtualService/nowhere/x", "VirtualService/shop/y")
}

// restartedEdge starts with what an earlier life left: what is not wanted any more goes.
func restartedEdge(w *world) {
	w.apply(16, []*feedpb.Resource{service("old", "old.example")})
	w.end()
	w.start()
	before := w.get("a").GetResourceVersion()
	w.apply(17, []*feedpb.Resource{service("a", "a2.example")})
	w.eventuallyHost("old", "")
	if after := w.get("a").GetResourceVersion(); after != before || len(w.drifts) > 0 {
		w.Errorf("what was there already was written again: %s, was %s; drifts %v", after, before, w.drifts)
	}
}

// restartedServer changes something while the API server is away.
func restartedServer(w *world) {
	w.server.API.Kill()
	w.cluster.Apply(18, []*feedpb.Resource{service("a", "a3.example")}, nil)
	w.eventually("it is told", func() bool { return strings.Contains(w.conditions["Write/VirtualService"], "ISM4011") })
	w.server.API.Start()
	w.server.WaitReady()
	w.eventually("revision 18 is applied", func() bool { return w.applied == 18 })
	w.eventuallyHost("a", "a3.example")
	w.eventually("nothing is wrong any more", func() bool { return len(w.conditions) == 0 })
}

func rightsTaken(w *world) {
	roles := w.server.Core.RbacV1().ClusterRoles()
	role, err := roles.Get(w.Context(), "edge", metav1.GetOptions{})
	if err != nil {
		w.Fatal(err)
	}
	rules := role.Rules
	role.Rules = rules[:len(rules)-1]
	if role, err = roles.Update(w.Context(), role, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.cluster.Apply(19, []*feedpb.Resource{service("a", "a4.example")}, nil)
	w.eventually("it is told", func() bool { return strings.Contains(w.conditions["Write/VirtualService"], "ISM4012") })
	role.Rules = rules
	if _, err = roles.Update(w.Context(), role, metav1.UpdateOptions{}); err != nil {
		w.Fatal(err)
	}
	w.eventually("revision 19 is applied", func() bool { return w.applied == 19 })
}

// unreadable gives what is no object; the rest of the revision is applied.
func unreadable(w *world) {
	strange := service("strange", "strange.example")
	strange.Body = nil
	w.apply(20, []*feedpb.Resource{strange, {Name: "Pod/shop/x"}, service("a", "a5.example")})
	w.eventually("both are told", func() bool { return w.refused[strange.Name] != "" && w.refused["Pod/shop/x"] != "" })
	w.eventuallyHost("a", "a5.example")
}
