package kube

import (
	"context"
	"errors"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// write takes names from the queue until it is shut down.
func (c *Cluster) write(ctx context.Context) {
	for {
		name, done := c.queue.Get()
		if done {
			return
		}
		if err := c.settle(ctx, name); err == nil {
			c.queue.Forget(name)
		} else if ctx.Err() == nil {
			c.config.Log.Debug("writing to the cluster", "object", name, "error", err)
			c.again(name, err)
		}
		c.queue.Done(name)
	}
}

// again repeats a write later: when the API server said so, or a little later than the last time.
func (c *Cluster) again(name string, err error) {
	if seconds, told := apierrors.SuggestsClientDelay(err); told && seconds > 0 {
		c.queue.AddAfter(name, min(retryLast, time.Duration(seconds)*time.Second))
		return
	}
	c.queue.AddRateLimited(name)
}

var errNotWatched = errors.New("the cluster's objects of this kind are not known yet")

// settle brings one object to what it shall be. An error means: again.
func (c *Cluster) settle(ctx context.Context, name string) error {
	kind, namespace, own := split(name)
	w := c.watchers[kind]
	if w == nil {
		c.settled(name, nil)
		return nil
	}
	if !w.informer.HasSynced() {
		return errNotWatched
	}
	c.mu.Lock()
	want, loaded := c.wanted[name], c.loaded
	c.mu.Unlock()
	live := w.get(namespace, own)
	switch {
	case !loaded:
		return nil // Apply looks at everything again
	case want == nil && (live == nil || !c.ours(live)):
		c.settled(name, nil)
		return nil
	case want == nil:
		return c.remove(ctx, w, live, name)
	case live != nil && !c.ours(live):
		c.refuse(name, want, inTheWay(name, live))
		return nil
	case live != nil && want.object.same(live):
		c.settled(name, want)
		return nil
	}
	return c.put(ctx, w, want, live, name)
}

func inTheWay(name string, live *unstructured.Unstructured) *problem.Error {
	return problem.ObjectInTheWay.Because("%s of the cluster is managed by %s", name, managers(live))
}

func managers(live *unstructured.Unstructured) string {
	var all []string
	for _, m := range live.GetManagedFields() {
		all = append(all, m.Manager)
	}
	if len(all) == 0 {
		return "somebody else"
	}
	return strings.Join(all, ", ")
}

// remove deletes an object of ours, if it is still the one that was seen.
func (c *Cluster) remove(ctx context.Context, w *watcher, live *unstructured.Unstructured, name string) error {
	uid := live.GetUID()
	err := w.client.Namespace(live.GetNamespace()).Delete(ctx, live.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	if err == nil {
		c.settled(name, nil)
	}
	return c.trouble(w.kind, err)
}

// put writes an object. Of what somebody changed behind our back, fields that they added are theirs under
// server-side apply and would stay; so the object is replaced then.
func (c *Cluster) put(ctx context.Context, w *watcher, want *wanted, live *unstructured.Unstructured, name string) error {
	drift := want.settled
	client := w.client.Namespace(want.object.GetNamespace())
	got, err := c.create(ctx, client, want.object, live)
	if errors.Is(err, errForeign) {
		c.refuse(name, want, inTheWay(name, got))
		return nil
	}
	if err == nil && !want.object.same(got) {
		_, err = client.Update(ctx, want.object.over(got), metav1.UpdateOptions{FieldManager: FieldManager})
	}
	switch {
	case err == nil:
		c.settled(name, want)
		if drift {
			c.drifted(name, live)
		}
		return nil
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err):
		c.refuse(name, want, problem.ClusterRefused.Because("%v", err))
		return nil
	case apierrors.HasStatusCause(err, "NamespaceTerminating") || namespaceMissing(err):
		c.refuse(name, want, problem.NamespaceMissing.Because("namespace %q: %v", want.object.GetNamespace(), err))
		return err // until it is there
	}
	return c.trouble(w.kind, err)
}

var errForeign = errors.New("an object of somebody else")

// create writes an object over the one of ours that was seen, or anew. Applying would take over whatever has
// come there since the cache was filled; so what is new is created, and what was seen is named by its UID.
func (c *Cluster) create(ctx context.Context, client dynamic.ResourceInterface, o object, live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if live == nil {
		got, err := client.Create(ctx, o.Unstructured, metav1.CreateOptions{FieldManager: FieldManager})
		if !apierrors.IsAlreadyExists(err) {
			return got, err
		}
		if live, err = client.Get(ctx, o.GetName(), metav1.GetOptions{}); err != nil {
			return nil, err
		}
		if !c.ours(live) {
			return live, errForeign
		}
	}
	next := o.DeepCopy()
	next.SetUID(live.GetUID())
	return client.Apply(ctx, o.GetName(), next, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
}

func namespaceMissing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsNotFound(err) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == "namespaces"
}

// drifted tells what was put back.
func (c *Cluster) drifted(name string, live *unstructured.Unstructured) {
	drift := Drift{Resource: name, At: c.config.Now()}
	if live != nil {
		drift.Manager = lastManager(live)
	}
	c.config.Log.Warn("put back what was changed in the cluster", "object", name, "manager", drift.Manager, "removed", live == nil)
	c.config.Events.Drifted(drift)
}

// trouble is what is wrong with writing a kind, told where the edge's condition is told; nil clears it.
func (c *Cluster) trouble(k kind, err error) error {
	place := "Write/" + k.name
	switch {
	case err == nil, apierrors.IsConflict(err):
		c.config.Events.Condition(place, nil)
	default:
		c.config.Events.Condition(place, unwatched(k, err))
	}
	return err
}

// settled notes that the cluster has what it shall have under a name; nil means nothing.
func (c *Cluster) settled(name string, want *wanted) {
	k, _, _ := split(name)
	if want != nil {
		c.config.Events.Condition("Write/"+k, nil)
	}
	c.mu.Lock()
	if want != nil {
		want.settled = true
	}
	var resolved *feedpb.Rejection
	if c.wanted[name] == want {
		delete(c.pending, name)
		if old := c.refused[name]; old != nil {
			delete(c.refused, name)
			resolved = &feedpb.Rejection{Resource: old.Resource, Version: old.Version, Origins: old.Origins, Proxy: old.Proxy, Resolved: true}
		}
	}
	c.mu.Unlock()
	if resolved != nil {
		c.config.Events.Rejected(resolved)
	}
	c.progress()
}

// refuse notes that the cluster does not take a resource.
func (c *Cluster) refuse(name string, want *wanted, err *problem.Error) {
	c.mu.Lock()
	if c.wanted[name] == want {
		delete(c.pending, name)
		c.reject(want.resource, err.Error())
	}
	c.mu.Unlock()
	c.progress()
}

// reject tells of a resource that the cluster does not have. Caller holds mu.
func (c *Cluster) reject(r *feedpb.Resource, message string) {
	if old := c.refused[r.Name]; old != nil && old.Version == r.Version && old.Message == message {
		return
	}
	rejection := &feedpb.Rejection{Resource: r.Name, Version: r.Version, Origins: r.Origins, Proxy: "cluster", Message: message}
	c.refused[r.Name] = rejection
	c.config.Events.Rejected(rejection)
}

// progress tells when all of the newest revision is in the cluster, as far as it takes it.
func (c *Cluster) progress() {
	c.mu.Lock()
	revision := c.newest
	done := c.loaded && len(c.pending) == 0 && c.told != revision
	if done {
		c.told = revision
	}
	c.mu.Unlock()
	if done {
		c.config.Events.Applied(revision)
	}
}
