package apiserver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
)

// followed is a running stream, with its batches in a channel.
func followed(t *testing.T, s *stream) <-chan Batch {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	batches, ended := make(chan Batch, 10000), make(chan error, 1)
	s.deliver = func(b Batch) error { batches <- b; return nil }
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the stream ended with %v", err)
		}
	})
	return batches
}

// next waits for the change of an object, and checks that revisions only grow on the way.
func next(t *testing.T, batches <-chan Batch, kind, namespace, name string) Change {
	t.Helper()
	last := int64(0)
	timeout := time.After(20 * time.Second)
	for {
		select {
		case b := <-batches:
			for _, c := range b.Changes {
				if !b.Reset && c.Revision <= last {
					t.Fatalf("revision %d after %d", c.Revision, last)
				}
				last = c.Revision
				if c.Kind == kind && c.Namespace == namespace && c.Name == name {
					return c
				}
			}
		case <-timeout:
			t.Fatalf("no change of %s %s/%s", kind, namespace, name)
		}
	}
}

func TestStreamTellsEveryKindInOrder(t *testing.T) {
	workspace := newWorkspace(t)
	batches := followed(t, world.newStream(nil))
	first := <-batches
	if !first.Reset || first.Revision == 0 {
		t.Fatalf("the first batch: reset %v, revision %d", first.Reset, first.Revision)
	}
	var want []string
	for i := range 30 { // three kinds in turn: one order over all
		name := fmt.Sprintf("o%d", i)
		switch i % 3 {
		case 0:
			apply(t, "configmaps", workspace, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: %s}, data: {a: b}}`, name))
		case 1:
			apply(t, "secrets", workspace, fmt.Sprintf(`{apiVersion: v1, kind: Secret, metadata: {name: %s}, stringData: {a: b}}`, name))
		case 2:
			apply(t, "services", workspace, fmt.Sprintf(`{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: %s}}`, name))
		}
		want = append(want, name)
	}
	last := first.Revision
	for len(want) > 0 {
		b := <-batches
		if b.Reset || b.Revision <= last {
			t.Fatalf("batch with reset %v and revision %d after %d", b.Reset, b.Revision, last)
		}
		last = b.Revision
		for _, c := range b.Changes {
			if c.Namespace != workspace || c.Name != want[0] {
				continue
			}
			if got := c.Object.(metav1.Object).GetResourceVersion(); got != fmt.Sprint(c.Revision) {
				t.Errorf("%s: resourceVersion %s, revision %d", c.Name, got, c.Revision)
			}
			want = want[1:]
		}
	}
}

func TestStreamDecodesAndDeletes(t *testing.T) {
	workspace := newWorkspace(t)
	batches := followed(t, world.newStream(nil))
	apply(t, "secrets", workspace, `{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {password: hunter2}}`)
	secret := next(t, batches, "Secret", workspace, "s").Object.(*corev1.Secret)
	if string(secret.Data["password"]) != "hunter2" || secret.Kind != "Secret" || secret.APIVersion != "v1" {
		t.Errorf("got %s %s with %q", secret.APIVersion, secret.Kind, secret.Data)
	}
	apply(t, "services", workspace, `{apiVersion: isthmus.dev/v1alpha1, kind: Service, metadata: {name: x, labels: {team: blue}}}`)
	service := next(t, batches, "Service", workspace, "x")
	if got := service.Object.(*v1alpha1.Service); got.Labels["team"] != "blue" || got.UID == "" || got.Kind != "Service" {
		t.Errorf("got %+v", got)
	}
	check(t, world.objects.Resource(resourceOf("services")).Namespace(workspace).Delete(t.Context(), "x", metav1.DeleteOptions{}))
	gone := next(t, batches, "Service", workspace, "x")
	if gone.Object != nil || gone.Err != nil || gone.Revision <= service.Revision {
		t.Errorf("got %+v after revision %d", gone, service.Revision)
	}
}

func TestStreamLoadsInPagesOfOneRevision(t *testing.T) {
	workspace := newWorkspace(t)
	for i := range 7 {
		apply(t, "configmaps", workspace, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}}`, i))
	}
	s := world.newStream(nil)
	s.pageSize = 2
	found := 0
	for _, c := range (<-followed(t, s)).Changes {
		if c.Namespace == workspace && c.Kind == "ConfigMap" {
			found++
		}
	}
	if found != 7 {
		t.Errorf("found %d of 7", found)
	}
}

// A stream that was away while its revision was compacted starts over.
func TestStreamStartsOverAfterCompaction(t *testing.T) {
	workspace := newWorkspace(t)
	apply(t, "configmaps", workspace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}`)
	now, err := world.etcd.client.Get(t.Context(), Prefix, clientv3.WithCountOnly())
	check(t, err)
	_, err = world.etcd.client.Compact(t.Context(), now.Header.Revision)
	check(t, err)
	s := world.newStream(nil)
	s.next = now.Header.Revision - 1
	if b := <-followed(t, s); !b.Reset || b.Revision < now.Header.Revision {
		t.Errorf("reset %v at %d, want a reset at %d or later", b.Reset, b.Revision, now.Header.Revision)
	}
}

func TestStreamReportsWhatItCannotRead(t *testing.T) {
	workspace := newWorkspace(t)
	batches := followed(t, world.newStream(nil))
	key := Prefix + "/core/secrets/" + workspace + "/broken"
	_, err := world.etcd.client.Put(t.Context(), key, "not encrypted")
	check(t, err)
	t.Cleanup(func() { world.etcd.client.Delete(context.Background(), key) })
	if c := next(t, batches, "Secret", workspace, "broken"); c.Err == nil || c.Object != nil {
		t.Errorf("got %+v", c)
	}
	apply(t, "configmaps", workspace, `{apiVersion: v1, kind: ConfigMap, metadata: {name: after}}`)
	next(t, batches, "ConfigMap", workspace, "after") // and nothing else is affected
}

func TestStreamEndsWithItsReceiver(t *testing.T) {
	full := errors.New("full")
	if err := world.Stream(t.Context(), func(Batch) error { return full }); err != full {
		t.Errorf("got %v", err)
	}
}
