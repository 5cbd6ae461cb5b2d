package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/server/healthz"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/isthmus-mesh/isthmus/api/crd"
	"github.com/isthmus-mesh/isthmus/api/hubinfo"
)

// The GatewayClass that the hub provides.
const (
	GatewayClassName = "isthmus"
	ControllerName   = "isthmus.dev/hub"
)

// bootstrap brings an API that just started to the point where every kind can be used, and runs the
// loops that keep it in order. Until it is done /readyz says what is missing.
type bootstrap struct {
	clients     *clients
	definitions []*apiextensionsv1.CustomResourceDefinition
	loops       []func(context.Context) error
	log         *slog.Logger
	done        chan struct{}
	missing     atomic.Pointer[string]
}

func newBootstrap(c *clients, definitions []*apiextensionsv1.CustomResourceDefinition, w *workspaces, log *slog.Logger) *bootstrap {
	b := &bootstrap{clients: c, definitions: definitions, log: log, done: make(chan struct{})}
	b.loops = []func(context.Context) error{w.run, (&namespaces{clients: c, log: log}).run}
	b.lacks("not started")
	return b
}

func (b *bootstrap) lacks(what string) { b.missing.Store(&what) }

// Name is that of the readiness check.
func (b *bootstrap) Name() string { return "isthmus-kinds" }

// Check fails until the bootstrap is done.
func (b *bootstrap) Check(*http.Request) error {
	select {
	case <-b.done:
		return nil
	default:
		return errors.New(*b.missing.Load())
	}
}

// before puts the bootstrap before another check, which is asked only when every kind can be used:
// until then the bootstrap itself says no, and waits for all others.
func (b *bootstrap) before(check healthz.HealthChecker) healthz.HealthChecker {
	return healthz.NamedCheck(check.Name(), func(r *http.Request) error {
		if b.Check(r) != nil {
			return nil
		}
		return check.Check(r)
	})
}

// run works until ctx ends.
func (b *bootstrap) run(ctx context.Context) error {
	steps := []func(context.Context) error{
		b.define,
		b.warm,
		b.provide,
		b.described,
		b.settled,
	}
	for _, step := range steps {
		b.insist(ctx, step)
	}
	if ctx.Err() != nil {
		return nil
	}
	close(b.done)
	group, ctx := errgroup.WithContext(ctx)
	for _, loop := range b.loops {
		group.Go(func() error { return loop(ctx) })
	}
	return group.Wait()
}

// insist repeats a step until it succeeds or ctx ends: the server may still be starting, a kind may
// still be on its way. What lasts longer is logged.
func (b *bootstrap) insist(ctx context.Context, step func(context.Context) error) {
	const pause, patience = 20 * time.Millisecond, 5 * time.Second
	complain := time.NewTicker(patience)
	defer complain.Stop()
	for ctx.Err() == nil {
		err := step(ctx)
		if err == nil {
			return
		}
		b.lacks(err.Error())
		select {
		case <-complain.C:
			b.log.Warn("the hub's API is not ready yet", "err", err)
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// readDefinitions reads the CustomResourceDefinitions that the hub serves.
func readDefinitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	texts, err := crd.Definitions()
	if err != nil {
		return nil, err
	}
	definitions := make([]*apiextensionsv1.CustomResourceDefinition, len(texts))
	for i, text := range texts {
		definitions[i] = &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, definitions[i]); err != nil {
			return nil, err
		}
		crdserver.Scheme.Default(definitions[i]) // as the API does
		definitions[i].Status = apiextensionsv1.CustomResourceDefinitionStatus{}
	}
	return definitions, nil
}

// define applies the definitions that differ from what is stored: none after a plain restart, all of
// them at the first start, some after an upgrade.
func (b *bootstrap) define(ctx context.Context) error {
	list, err := b.clients.crds.ApiextensionsV1().CustomResourceDefinitions().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, definition := range b.definitions {
		if slices.ContainsFunc(list.Items, func(stored apiextensionsv1.CustomResourceDefinition) bool { return sameDefinition(&stored, definition) }) {
			continue
		}
		text, err := yaml.Marshal(definition)
		if err != nil {
			return err
		}
		if err := b.apply(ctx, definition.Name, text); err != nil {
			return fmt.Errorf("definition of %s: %w", definition.Name, err)
		}
	}
	return nil
}

func sameDefinition(stored, wanted *apiextensionsv1.CustomResourceDefinition) bool {
	return stored.Name == wanted.Name && equality.Semantic.DeepEqual(stored.Spec, wanted.Spec) &&
		subset(wanted.Labels, stored.Labels) && subset(wanted.Annotations, stored.Annotations)
}

func subset(part, whole map[string]string) bool {
	for key, value := range part {
		if got, ok := whole[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func (b *bootstrap) apply(ctx context.Context, name string, text []byte) error {
	force := true
	_, err := b.clients.crds.ApiextensionsV1().CustomResourceDefinitions().Patch(ctx, name, types.ApplyYAMLPatchType, text, metav1.PatchOptions{FieldManager: fieldManager, Force: &force})
	return err
}

// warm makes every kind's storage, which happens at the first request, and sees to it that clients
// find the kind.
func (b *bootstrap) warm(ctx context.Context) error {
	for _, definition := range b.definitions {
		for _, version := range definition.Spec.Versions {
			if !version.Served {
				continue
			}
			resource := schema.GroupVersionResource{Group: definition.Spec.Group, Version: version.Name, Resource: definition.Spec.Names.Plural}
			if err := b.usable(ctx, resource); err != nil {
				return fmt.Errorf("%s: %w", definition.Name, err)
			}
		}
	}
	return nil
}

func (b *bootstrap) usable(ctx context.Context, resource schema.GroupVersionResource) error {
	if _, err := b.clients.metadata.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return err
	}
	found, err := b.clients.typed.Discovery().ServerResourcesForGroupVersion(resource.GroupVersion().String())
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(found.APIResources, func(r metav1.APIResource) bool { return r.Name == resource.Resource }) {
		return errors.New("not discoverable yet")
	}
	return nil
}

// described waits until the kinds' descriptions are published.
func (b *bootstrap) described(context.Context) error {
	paths, err := b.clients.typed.Discovery().OpenAPIV3().Paths()
	if err != nil {
		return err
	}
	for _, want := range []schema.GroupVersion{workspaceResource.GroupVersion(), gatewayv1.SchemeGroupVersion} {
		if _, ok := paths["apis/"+want.String()]; !ok {
			return fmt.Errorf("%s is not described yet", want)
		}
	}
	return nil
}

// settled waits until the API server's own parts are ready too.
func (b *bootstrap) settled(ctx context.Context) error {
	return b.clients.typed.Discovery().RESTClient().Get().AbsPath("/readyz").Param("exclude", b.Name()).Do(ctx).Error()
}

// provide makes the objects that everybody may count on.
func (b *bootstrap) provide(ctx context.Context) error {
	for _, name := range []string{metav1.NamespaceDefault, hubinfo.Namespace} {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := b.clients.typed.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: fieldManager})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	class := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"controllerName": ControllerName,
		"description":    "Gateways run by isthmus-agent gateway",
	}}}
	class.SetGroupVersionKind(gatewayv1.SchemeGroupVersion.WithKind("GatewayClass"))
	class.SetName(GatewayClassName)
	_, err := b.clients.dynamic.Resource(gatewayv1.SchemeGroupVersion.WithResource("gatewayclasses")).Apply(ctx, GatewayClassName, class, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return err
}
