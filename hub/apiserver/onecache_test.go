package apiserver

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
)

func TestOnlyThePreferredVersionIsCached(t *testing.T) {
	definitions, err := readDefinitions()
	check(t, err)
	cached := 0
	count := func(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
		storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
		cached++
		return nil, nil, nil
	}
	for resource, version := range newOneCache(nil, definitions).preferred {
		if k := kindOf[resource]; k != nil && k.resource.Version != version {
			t.Errorf("the hub itself asks for %s, and %s is cached", k.resource, version)
		}
	}
	nowhere := &storagebackend.ConfigForResource{Config: storagebackend.Config{Type: "nowhere"}} // fails when it is built
	c := oneCache{generic.RESTOptions{Decorator: count}, map[schema.GroupResource]string{{Group: "g", Resource: "things"}: "v1"}}
	for _, of := range []struct {
		resource, version string
		want              int
	}{{"things", "v1", 1}, {"things", "v1beta1", 0}, {"others", "v1beta1", 1}} {
		cached = 0
		options, err := c.GetRESTOptions(schema.GroupResource{Group: "g", Resource: of.resource}, nil)
		check(t, err)
		_, _, err = options.Decorator(nowhere, "", nil, func() runtime.Object {
			o := &unstructured.Unstructured{}
			o.SetGroupVersionKind(schema.GroupVersionKind{Group: "g", Version: of.version, Kind: "Thing"})
			return o
		}, nil, nil, nil, nil)
		if (err == nil) != (of.want == 1) || cached != of.want {
			t.Errorf("%s %s: cached %d times, %v", of.resource, of.version, cached, err)
		}
	}
}

// A version that is not cached is served like the one that is: lists, watches, and what happened before.
func TestOtherVersionsAreServedFromStorage(t *testing.T) {
	workspace := newWorkspace(t)
	old := world.objects.Resource(resourceOf("httproutes").GroupResource().WithVersion("v1beta1")).Namespace(workspace)
	route := `{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {parentRefs: [{name: x}]}}`
	apply(t, "httproutes", workspace, route)
	list, err := old.List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	check(t, err)
	if len(list.Items) != 1 || list.Items[0].GetAPIVersion() != "gateway.networking.k8s.io/v1beta1" {
		t.Fatalf("got %v", list.Items)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all, bookmarks := true, metav1.ResourceVersionMatchNotOlderThan
	w, err := old.Watch(ctx, metav1.ListOptions{SendInitialEvents: &all, ResourceVersionMatch: bookmarks, AllowWatchBookmarks: true})
	check(t, err)
	defer w.Stop()
	check(t, world.PatchStatus(ctx, "HTTPRoute", workspace, "r", "", map[string]any{"parents": []any{}}))
	for event := range w.ResultChan() {
		o := event.Object.(*unstructured.Unstructured)
		if o.GetAPIVersion() != "gateway.networking.k8s.io/v1beta1" {
			t.Errorf("%s of %s", event.Type, o.GetAPIVersion())
		}
		if o.Object["status"] != nil && o.GetName() == "r" && event.Type == "MODIFIED" {
			return
		}
	}
	t.Error("the watch ended before the change")
}
