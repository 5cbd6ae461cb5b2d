package kube

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// calm is the least time between two times that one object is put back, in case that somebody else keeps
// changing it.
const calm = time.Second

// again is when an object is looked at that is in the way and not watched.
const again = 10 * time.Second

// reconcile brings one resource a step nearer to what is wanted. It returns when to look again if
// nothing happens before, or an error to be retried.
func (c *Cluster) reconcile(ctx context.Context, name string) (time.Duration, error) {
	w, opened := c.want(name)
	if !opened {
		return 0, nil
	}
	if w == nil {
		return c.leave(ctx, name)
	}
	if w.err != nil {
		c.refuse(w, problem.ResourceUnreadable.Because("%v", w.err))
		return 0, nil
	}
	t := c.objects[w.kind.name]
	if !t.isReady() || !c.namespaces.isReady() {
		return 0, nil // the watch enqueues it
	}
	return c.place(ctx, w, t.get(w.key()))
}

// leave sees to it that a resource that is not wanted is not there.
func (c *Cluster) leave(ctx context.Context, name string) (time.Duration, error) {
	i, err := parse(name)
	if err != nil {
		c.gone(name)
		return 0, nil
	}
	t := c.objects[i.kind.name]
	if !t.isReady() {
		return 0, nil
	}
	l := t.get(i.key())
	if l == nil || !l.own || l.terminating {
		c.gone(name)
		return 0, nil
	}
	err = c.remove(ctx, i, l)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // the watch is about to say so
		err = nil
	}
	return c.failed(ctx, i, err)
}

func (c *Cluster) gone(name string) {
	c.separated(name)
	if c.settle(name, nil) {
		c.rejections.resolve(name)
	}
}

// place sees to it that a resource is there as wanted.
func (c *Cluster) place(ctx context.Context, w *wanted, l *live) (time.Duration, error) {
	space := c.namespaces.get(w.namespace)
	switch {
	case l != nil && !l.own:
		return c.collide(ctx, w, l), nil
	case w.isMet(l):
		c.accept(w)
		return 0, nil
	case space == nil || space.terminating:
		c.refuse(w, problem.NamespaceMissing.Because("%s: the cluster has no namespace %s", w.id, w.namespace))
		return 0, nil
	case l != nil && l.terminating:
		return 0, nil // the watch says when it is gone
	}
	if wait := w.notBefore.Sub(c.config.Now()); wait > 0 {
		return wait, nil
	}
	drifted := w.placed || l != nil && l.version == w.Version
	if wait := calm - c.config.Now().Sub(w.mended); drifted && wait > 0 {
		return wait, nil
	}
	return c.write(ctx, w, l, drifted)
}

// write makes an object, or changes it.
func (c *Cluster) write(ctx context.Context, w *wanted, l *live, drifted bool) (time.Duration, error) {
	if l == nil {
		if found, err := c.look(ctx, w.id); err == nil {
			return c.meet(ctx, w, found), nil
		} else if !apierrors.IsNotFound(err) || unserved(err) {
			return c.postpone(ctx, w, err)
		}
	}
	found, err := c.settleFields(ctx, w, l)
	if err != nil {
		return c.refused(ctx, w, err)
	}
	t := c.objects[w.kind.name]
	c.mu.Lock()
	w.accepted = hash(content(found.Object))
	if drifted {
		w.mended = c.config.Now()
	}
	c.mu.Unlock()
	t.learn(found)
	if drifted {
		c.config.Log.Warn("an object was put back", "drift", driftOf(w, l).String())
		c.config.Events.Drifted(driftOf(w, l))
	}
	c.accept(w)
	return 0, nil
}

// settleFields applies, and takes away what others added to an object of ours.
func (c *Cluster) settleFields(ctx context.Context, w *wanted, l *live) (*unstructured.Unstructured, error) {
	uid := ""
	if l != nil {
		uid = l.uid
	}
	found, err := c.apply(ctx, w, uid)
	if err != nil {
		return nil, err
	}
	return c.prune(ctx, w, found)
}

// meet takes in an object that the watch has not told of, and returns when to look again.
func (c *Cluster) meet(ctx context.Context, w *wanted, found *unstructured.Unstructured) time.Duration {
	if l := readLive(c.config.Zone)(found); w.kind.ours && !l.own {
		c.collide(ctx, w, &l)
		return again // the watch would not say when it goes
	}
	if c.objects[w.kind.name].learn(found) == nil { // it is gone already
		return firstRetry
	}
	return 0 // the table has it looked at
}

func taken(w *wanted, l *live) *problem.Error {
	return problem.ObjectTaken.Because("%s of the cluster is managed by %s", w.id, names(l.others))
}

// accept notes that a resource is in the cluster as wanted.
func (c *Cluster) accept(w *wanted) {
	c.mu.Lock()
	w.placed = true
	c.mu.Unlock()
	c.faults.note(w.kind.name, w.Name, nil, true)
	c.separated(w.Name)
	if c.settle(w.Name, w) {
		c.rejections.resolve(w.Name)
	}
}

// refuse notes that a resource cannot be in the cluster until something changes.
func (c *Cluster) refuse(w *wanted, why *problem.Error) {
	if w.err == nil {
		c.faults.note(w.kind.name, w.Name, nil, true)
	}
	if c.isWanted(w) {
		c.rejections.put(w, why)
	}
	c.settle(w.Name, w)
}
