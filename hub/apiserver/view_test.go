package apiserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternal "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	view "github.com/isthmus-mesh/isthmus/api/view/v1alpha1"
)

func workload(namespace, name, health string) *view.Workload {
	return &view.Workload{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"health": health}},
		Spec:       view.WorkloadSpec{Zone: "dc1", Service: "reviews", Version: "v2", Ports: []view.WorkloadPort{{Port: 9080, Protocol: "http"}}},
		Status:     view.WorkloadStatus{Health: health, Connected: true},
	}
}

// watched is a watch on a view itself, of namespace shop.
func watched(t *testing.T, v *View[*view.Workload], o *metainternal.ListOptions) *viewWatch {
	t.Helper()
	w, err := v.watch(request.WithNamespace(t.Context(), "shop"), o)
	check(t, err)
	t.Cleanup(w.Stop)
	return w
}

// script reads n events as text.
func script(w *viewWatch, n int) string {
	var lines []string
	for range n {
		e := <-w.events
		o := e.Object.(*view.Workload)
		lines = append(lines, fmt.Sprintf("%s %s %s", e.Type, o.Name, o.Status.Health))
	}
	return strings.Join(lines, "\n")
}

func testView() *View[*view.Workload] {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return newViews(func() time.Time { return now }).Workloads
}

func TestViewTellsChangesOnce(t *testing.T) {
	v := testView()
	v.Set(workload("shop", "a", "Healthy"))
	w := watched(t, v, nil)
	v.Set(workload("shop", "a", "Healthy"))   // equal: no event
	v.Set(workload("shop", "a", "Unhealthy")) // modified
	v.Set(workload("other", "x", "Healthy"))  // another namespace
	v.Replace([]*view.Workload{workload("shop", "b", "Healthy")})
	v.Delete(types.NamespacedName{Namespace: "shop", Name: "b"}, types.NamespacedName{Namespace: "shop", Name: "never"})
	want := "ADDED a Healthy\nMODIFIED a Unhealthy\nADDED b Healthy\nDELETED a Unhealthy\nDELETED b Healthy"
	if got := script(w, 5); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(v.List()) != 0 {
		t.Errorf("left: %v", v.List())
	}
}

func TestViewKeepsIdentity(t *testing.T) {
	v := testView()
	v.Set(workload("shop", "a", "Healthy"))
	first := v.List()[0]
	v.Set(workload("shop", "a", "Unhealthy"))
	second := v.List()[0]
	if first.UID == "" || first.UID != second.UID || !first.CreationTimestamp.Equal(&second.CreationTimestamp) || first.ResourceVersion == second.ResourceVersion {
		t.Errorf("from %+v to %+v", first.ObjectMeta, second.ObjectMeta)
	}
	v.Delete(types.NamespacedName{Namespace: "shop", Name: "a"})
	v.Set(workload("shop", "a", "Healthy"))
	if v.List()[0].UID == first.UID {
		t.Error("an object made anew has the uid of the old one")
	}
}

func TestViewWatchBySelector(t *testing.T) {
	v := testView()
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: map[string]string{"health": "Healthy"}})
	check(t, err)
	w := watched(t, v, &metainternal.ListOptions{LabelSelector: selector})
	v.Set(workload("shop", "a", "Unhealthy"), workload("shop", "b", "Healthy"))
	v.Set(workload("shop", "a", "Healthy"), workload("shop", "b", "Unhealthy"))
	if got, want := script(w, 3), "ADDED b Healthy\nADDED a Healthy\nDELETED b Unhealthy"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestViewWatchFromRevision(t *testing.T) {
	v := testView()
	v.Set(workload("shop", "a", "Healthy"))
	from := v.List()[0].ResourceVersion
	v.Set(workload("shop", "b", "Healthy"))
	if got := script(watched(t, v, &metainternal.ListOptions{ResourceVersion: from}), 1); got != "ADDED b Healthy" {
		t.Errorf("after the first: %s", got)
	}
	for i := range 2 * historySize {
		v.Set(workload("shop", fmt.Sprint("n", i), "Healthy"))
	}
	for rv, refused := range map[string]func(error) bool{from: apierrors.IsResourceExpired, "9999999999999999999": apierrors.IsResourceExpired, "x": apierrors.IsBadRequest} {
		if _, err := v.watch(t.Context(), &metainternal.ListOptions{ResourceVersion: rv}); !refused(err) {
			t.Errorf("from %s: %v", rv, err)
		}
	}
}

// A watcher that does not read is ended, and nobody waits for him.
func TestViewDropsSlowWatchers(t *testing.T) {
	v := testView()
	w := watched(t, v, nil)
	for i := range watchBuffer + 2 {
		v.Set(workload("shop", fmt.Sprint("n", i), "Healthy"))
	}
	read := 0
	for range w.events {
		read++
	}
	if read != watchBuffer+1 {
		t.Errorf("read %d events before the end, want %d", read, watchBuffer+1)
	}
}

func TestViewInitialEventsEndWithABookmark(t *testing.T) {
	v := testView()
	v.Set(workload("shop", "a", "Healthy"))
	yes := true
	w := watched(t, v, &metainternal.ListOptions{SendInitialEvents: &yes, AllowWatchBookmarks: true})
	script(w, 1)
	e := <-w.events
	if o := e.Object.(*view.Workload); e.Type != watch.Bookmark || o.Annotations[metav1.InitialEventsAnnotationKey] != "true" || o.ResourceVersion != v.List()[0].ResourceVersion {
		t.Errorf("got %s %+v", e.Type, o)
	}
}

// Through the API: what people and client-go see.
func TestViewsAreServed(t *testing.T) {
	world.Views.Workloads.Set(workload("shop", "reviews-1", "Healthy"), workload("other", "x", "Unhealthy"))
	t.Cleanup(func() { world.Views.Workloads.Replace(nil) })
	workloads := world.objects.Resource(workloadKind.resource())
	one, err := workloads.Namespace("shop").Get(t.Context(), "reviews-1", metav1.GetOptions{})
	check(t, err)
	if one.GetKind() != "Workload" || one.GetUID() == "" {
		t.Errorf("got %v", one)
	}
	list, err := workloads.List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.namespace=other"})
	check(t, err)
	if len(list.Items) != 1 || list.GetKind() != "WorkloadList" {
		t.Errorf("got %d items of %s", len(list.Items), list.GetKind())
	}
	if _, err := workloads.Namespace("shop").Get(t.Context(), "none", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("got %v", err)
	}
	if err := workloads.Namespace("shop").Delete(t.Context(), "reviews-1", metav1.DeleteOptions{}); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("deleting a view: %v", err)
	}
}

func TestViewsFollowedByAnInformer(t *testing.T) {
	t.Cleanup(func() { world.Views.Proxies.Replace(nil) })
	informer := dynamicinformer.NewDynamicSharedInformerFactory(world.objects, 0).ForResource(proxyKind.resource())
	go informer.Informer().RunWithContext(t.Context())
	if !cache.WaitForCacheSync(t.Context().Done(), informer.Informer().HasSynced) {
		t.Fatal("no list")
	}
	world.Views.Proxies.Set(&view.Proxy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "p"}})
	eventually(t, "the proxy", func() error { _, err := informer.Lister().ByNamespace("shop").Get("p"); return err })
	world.Views.Proxies.Delete(types.NamespacedName{Namespace: "shop", Name: "p"})
	eventually(t, "its end", func() error {
		if _, err := informer.Lister().ByNamespace("shop").Get("p"); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
}

func TestViewTables(t *testing.T) {
	world.Views.Workloads.Set(workload("shop", "reviews-1", "Healthy"))
	world.Views.Revisions.Set(&view.Revision{ObjectMeta: metav1.ObjectMeta{Name: "dc1"}, Spec: view.RevisionSpec{Zone: "dc1", Revision: 7}, Status: view.RevisionStatus{Edge: 6, Proxies: 3, Current: 2}})
	t.Cleanup(func() { world.Views.Workloads.Replace(nil); world.Views.Revisions.Replace(nil) })
	for path, want := range map[string]string{
		"/apis/view.isthmus.dev/v1alpha1/namespaces/shop/workloads": "Name Service Version Zone Health Connected Age Host Addresses Ports Reason\nreviews-1 reviews v2 dc1 Healthy yes AGE   9080/http ",
		"/apis/view.isthmus.dev/v1alpha1/revisions":                 "Name Zone Revision Edge Current Age\ndc1 dc1 7 6 2/3 AGE",
	} {
		raw, err := world.core.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").DoRaw(t.Context())
		check(t, err)
		var table metav1.Table
		check(t, json.Unmarshal(raw, &table))
		if got := tableText(table); got != want {
			t.Errorf("%s: got\n%q\nwant\n%q", path, got, want)
		}
	}
}

func tableText(table metav1.Table) string {
	var header []string
	age := -1
	for i, c := range table.ColumnDefinitions {
		header = append(header, c.Name)
		if c.Name == "Age" {
			age = i
		}
	}
	lines := []string{strings.Join(header, " ")}
	for _, row := range table.Rows {
		var cells []string
		for i, cell := range row.Cells {
			if i == age {
				cell = "AGE"
			}
			cells = append(cells, fmt.Sprint(cell))
		}
		lines = append(lines, strings.Join(cells, " "))
	}
	return strings.Join(lines, "\n")
}

// What "explain" reads: descriptions from the Go types, for views, core kinds and custom resources.
func TestKindsAreDescribed(t *testing.T) {
	paths, err := world.core.Discovery().OpenAPIV3().Paths()
	check(t, err)
	for group, wants := range map[string][]string{
		"apis/view.isthmus.dev/v1alpha1":       {"Revision of intent it acknowledged last.", `"kind":"Proxy"`},
		"api/v1":                               {"Secret holds secret data of a certain type.", `"kind":"Secret"`},
		"apis/isthmus.dev/v1alpha1":            {"Tenant is the name of the owning Tenant", `"kind":"Workspace"`},
		"apis/gateway.networking.k8s.io/v1":    {`"kind":"HTTPRoute"`},
		"apis/admissionregistration.k8s.io/v1": {`"kind":"ValidatingAdmissionPolicy"`},
		"apis/apiextensions.k8s.io/v1":         {`"kind":"CustomResourceDefinition"`},
	} {
		document, ok := paths[group]
		if !ok {
			t.Errorf("%s is not described", group)
			continue
		}
		text, err := document.Schema("application/json")
		check(t, err)
		for _, want := range wants {
			if !contains(string(text), want) {
				t.Errorf("%s lacks %q", group, want)
			}
		}
	}
}

func TestDiscovery(t *testing.T) {
	groups, err := world.core.Discovery().RESTClient().Get().AbsPath("/apis").SetHeader("Accept", "application/json").DoRaw(t.Context())
	check(t, err)
	var plain metav1.APIGroupList
	check(t, json.Unmarshal(groups, &plain))
	names := map[string]bool{}
	for _, g := range plain.Groups {
		names[g.Name] = true
	}
	for _, want := range []string{"isthmus.dev", "gateway.networking.k8s.io", "view.isthmus.dev", "coordination.k8s.io", "events.k8s.io", "authorization.k8s.io", "authentication.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io"} {
		if !names[want] {
			t.Errorf("plain /apis lacks %s", want)
		}
	}
	_, lists, err := world.core.Discovery().ServerGroupsAndResources()
	check(t, err)
	found := map[string]metav1.APIResource{}
	for _, list := range lists {
		for _, r := range list.APIResources {
			found[list.GroupVersion+" "+r.Name] = r
		}
	}
	if r := found["view.isthmus.dev/v1alpha1 workloads"]; fmt.Sprint(r.ShortNames, r.Categories, r.Verbs) != "[wl] [isthmus views] [get list watch]" {
		t.Errorf("workloads: %+v", r)
	}
	if r := found["isthmus.dev/v1alpha1 workspaces"]; fmt.Sprint(r.ShortNames, r.Categories) != "[ws] [isthmus]" {
		t.Errorf("workspaces: %+v", r)
	}
}
