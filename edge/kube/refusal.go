package kube

import (
	"context"
	"errors"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

// reconsider is when an object is tried again that the API server refused: a policy may have changed.
const reconsider = 30 * time.Second

// refused decides whose fault it is that an object cannot be written, and when to try again.
func (c *Cluster) refused(ctx context.Context, w *wanted, err error) (time.Duration, error) {
	switch {
	case ctx.Err() != nil || apierrors.IsConflict(err): // the watch is about to show something else
		return 0, err
	case namespaceGone(err):
		c.refuse(w, problem.NamespaceMissing.Because("%s: %v", w.id, err))
		return 0, nil
	case isAway(err) && !unreadable(err) || isAccess(err) || unserved(err):
		return c.postpone(ctx, w, err)
	}
	c.refuse(w, problem.ClusterRefused.Because("%s: %v", w.id, err))
	return reconsider, nil
}

// postpone is failed, for an object that must not be tried earlier whatever happens.
func (c *Cluster) postpone(ctx context.Context, w *wanted, err error) (time.Duration, error) {
	pause, err := c.failed(ctx, w.id, err)
	w.notBefore = c.config.Now().Add(pause)
	return pause, err
}

// failed notes how a request went that is no object's fault, and when to try again.
func (c *Cluster) failed(ctx context.Context, i id, err error) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, err
	}
	c.faults.note(i.kind.name, i.String(), err, true)
	if seconds, ok := apierrors.SuggestsClientDelay(err); err != nil && ok {
		return time.Duration(seconds) * time.Second, err
	}
	return 0, err
}

// unserved is whether the API server does not know the kind.
func unserved(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Name == ""
}

// namespaceGone is whether an object's namespace is not there, or not for long.
func namespaceGone(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Kind == "namespaces"
}

// unreadable is whether the API server cannot fit an object into its schema, which it takes for its own fault.
func unreadable(err error) bool {
	return strings.Contains(err.Error(), "failed to create typed patch object")
}
