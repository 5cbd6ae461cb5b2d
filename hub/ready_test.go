package hub_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/crd"
	"github.com/isthmus-mesh/isthmus/api/hubinfo"
)

// factsResource is the kind of what tells how to reach the hub.
var factsResource = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// A hub that starts says no at /readyz until every kind is answered and it is told how to reach the hub: with the
// first yes, all is there.
func TestReadyOnlyWhenEveryKindIsWarm(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	w.apply(route("reviews", "one"))
	if err := w.client.Resource(factsResource).Namespace(hubinfo.Namespace).Delete(t.Context(), hubinfo.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.stop()
	kinds := everyKind(t)
	var refused int
	var watch errgroup.Group
	watch.Go(func() (err error) {
		refused, err = untilReady(t.Context(), filepath.Join(w.dir, "admin.kubeconfig"), kinds)
		return err
	})
	w.start()
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
	if refused == 0 {
		t.Error("it never said that it was not ready")
	}
	t.Logf("/readyz said no %d times while the hub started", refused)
}

// everyKind are the resources that a hub defines.
func everyKind(t *testing.T) (all []schema.GroupVersionResource) {
	texts, err := crd.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		var d apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Spec.Versions {
			if v.Served {
				all = append(all, schema.GroupVersionResource{Group: d.Spec.Group, Version: v.Name, Resource: d.Spec.Names.Plural})
			}
		}
	}
	return all
}

// untilReady asks until /readyz says yes, counts how often it said no, and fails if a kind is not there at the yes.
func untilReady(ctx context.Context, kubeconfig string, kinds []schema.GroupVersionResource) (refused int, err error) {
	for ctx.Err() == nil {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return refused, err
		}
		switch readiness(config) {
		case 0: // nothing listens yet
		case http.StatusOK:
			return refused, warm(ctx, config, kinds)
		default:
			refused++
		}
	}
	return refused, ctx.Err()
}

// readiness is the status that /readyz answers; 0 for no answer.
func readiness(config *rest.Config) int {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0
	}
	response, err := client.Get(config.Host + "/readyz")
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

// warm asks for every kind, from the cache where there is one, and for the facts, once.
func warm(ctx context.Context, config *rest.Config, kinds []schema.GroupVersionResource) error {
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if _, err := client.Resource(kind).List(ctx, metav1.ListOptions{ResourceVersion: "0"}); err != nil {
			return fmt.Errorf("ready, but %s: %w", kind.Resource, err)
		}
	}
	_, err = client.Resource(factsResource).Namespace(hubinfo.Namespace).Get(ctx, hubinfo.Name, metav1.GetOptions{})
	return err
}
