package kube

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// Where an object of somebody else has the name of one of ours, both sides are told: the intent, by a rejection, and the
// other object, by an Event on it, which is what "kubectl describe" shows and changes nothing of it.

// eventKind names Events in conditions.
const eventKind = "Event"

// collisions are those that objects of others have been told of.
type collisions struct {
	mu   sync.Mutex
	told map[string]string // by resource: the other object's uid and the words
}

// isNew is whether a resource has something else to tell than before.
func (c *collisions) isNew(resource, what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told[resource] != what
}

func (c *collisions) note(resource, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told[resource] = what
}

// end says whether there was one of the resource, and forgets it.
func (c *collisions) end(resource string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, was := c.told[resource]
	delete(c.told, resource)
	return was
}

// all are the resources of which others were told.
func (c *collisions) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.told))
}

// collide tells both sides that an object of others is in the way. It returns when to try again to tell the other one; 0
// if that is done, or can never be.
func (c *Cluster) collide(ctx context.Context, w *wanted, l *live) time.Duration {
	c.refuse(w, taken(w, l))
	words := collisionWords(w, c.config.Zone)
	if !c.collisions.isNew(w.Name, l.uid+" "+words) {
		return 0
	}
	err := c.tellOther(ctx, w, l, words)
	if ctx.Err() != nil {
		return 0
	}
	c.faults.note(eventKind, w.Name, err, true)
	if isAway(err) && err != nil || isAccess(err) {
		c.collisions.note(w.Name, "") // somebody waits to be told
		return reconsider
	}
	c.collisions.note(w.Name, l.uid+" "+words)
	if err != nil {
		c.config.Log.Warn("an object of others could not be told that it is in the way", "object", w.id.String(), "error", err)
	}
	return 0
}

// separated notes that nothing of others is in the way of a resource.
func (c *Cluster) separated(resource string) {
	if c.collisions.end(resource) {
		c.faults.note(eventKind, resource, nil, true)
	}
}

// collisionWords tell those who look at the other object what waits for its name.
func collisionWords(w *wanted, zone string) string {
	const most = 1024 // of an Event's message
	words := "Isthmus would make an object of this name in zone " + zone + " and leaves this one as it is; what waits is made from "
	remedy := ". " + problem.ObjectTaken.Remedy
	origins := w.origins
	if room := most - len(words) - len(remedy); len(origins) > room {
		origins = strings.ToValidUTF8(origins[:room-len("…")], "") + "…"
	}
	return words + origins + remedy
}

// tellOther makes the Event, or renews it where this edge or one before it has told the same.
func (c *Cluster) tellOther(ctx context.Context, w *wanted, l *live, words string) error {
	event := c.event(w, l, words)
	body, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = answer(ctx, events(c.raw.Post(), w.namespace).SetHeader("Content-Type", "application/json").Body(body))
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	found, err := c.renew(ctx, event, map[string]any{"message": words, "lastTimestamp": event.LastTimestamp})
	if err != nil {
		return err
	}
	count, _, _ := unstructured.NestedInt64(found.Object, "count")
	_, err = c.renew(ctx, event, map[string]any{"count": count + 1})
	return err
}

func (c *Cluster) renew(ctx context.Context, event *corev1.Event, change map[string]any) (*unstructured.Unstructured, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return nil, err
	}
	return answer(ctx, events(c.raw.Patch(types.MergePatchType), event.Namespace, event.Name).Body(body))
}

// events is a request for the Events of a namespace, or for one.
func events(r *rest.Request, namespace string, name ...string) *rest.Request {
	return r.AbsPath(append([]string{"api", "v1", "namespaces", namespace, "events"}, name...)...).MaxRetries(0)
}

// event is about the other object. Its name is the same for the same collision, whoever tells of it.
func (c *Cluster) event(w *wanted, l *live, words string) *corev1.Event {
	now := metav1.NewTime(c.config.Now())
	const most = 200 // of a name that has a hash behind it
	return &corev1.Event{
		TypeMeta: metav1.TypeMeta{Kind: eventKind, APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.namespace, Name: w.name[:min(len(w.name), most)] + "." + hash([]string{c.config.Zone, w.Name, l.uid}),
		},
		InvolvedObject: corev1.ObjectReference{
			Kind: w.kind.name, APIVersion: w.kind.apiVersion(), Namespace: w.namespace, Name: w.name, UID: types.UID(l.uid),
		},
		Type: corev1.EventTypeWarning, Reason: problem.ObjectTaken.Reason, Message: words,
		Source:         corev1.EventSource{Component: "isthmus-edge"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
}
