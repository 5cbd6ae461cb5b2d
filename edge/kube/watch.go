package kube

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// watched keeps a table like the cluster.
type watched struct {
	// what in words for people, "virtualservices.networking.istio.io".
	what   string
	kind   string // in the names of conditions
	list   func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch  func(context.Context, metav1.ListOptions) (watch.Interface, error)
	store  cache.ReflectorStore
	lose   func() // the kind is not served
	needed func() bool
	faults *faults
	// selector of labels.
	selector string
}

// retries are less patient than client-go's, which waits up to 30 s: a cluster that is back is a zone
// that works again.
func retries() *wait.Backoff {
	return &wait.Backoff{Duration: 200 * time.Millisecond, Cap: 5 * time.Second, Steps: 10, Factor: 2, Jitter: 0.5}
}

// asked is how often it is asked whether a kind that is not needed is served to us after all.
const asked = 5 * time.Second

// await returns when the kind can be watched or has to be: a reflector would complain all the time about
// what nobody misses.
func (w *watched) await(ctx context.Context) {
	for !w.needed() {
		_, err := w.list(ctx, metav1.ListOptions{LabelSelector: w.selector, Limit: 1})
		if !apierrors.IsNotFound(err) && !isAccess(err) {
			return
		}
		select {
		case <-time.After(asked):
		case <-ctx.Done():
			return
		}
	}
}

func (w *watched) run(ctx context.Context) {
	w.await(ctx)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.LabelSelector = w.selector
			list, err := w.list(ctx, o)
			w.note(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.LabelSelector = w.selector
			events, err := w.watch(ctx, o)
			w.note(ctx, err)
			return events, listAgain(err)
		},
	}
	log := klog.FromContext(ctx)
	cache.NewReflectorWithOptions(lw, nil, w.store, cache.ReflectorOptions{
		Logger: &log, Name: w.what, TypeDescription: w.what, Backoff: retries(),
	}).RunWithContext(ctx)
}

// listAgain is an error after which a reflector lists: after a refused connection it would go on watching from where
// it was. But a cluster whose API server was down may have been restored from a backup, and such a watch is silent until
// the cluster's count of changes, which went back, is past that point.
func listAgain(err error) error {
	if utilnet.IsConnectionRefused(err) {
		return errors.New(err.Error())
	}
	return err
}

// note keeps the conditions true to how the last request went.
func (w *watched) note(ctx context.Context, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return // the reflector's own affair
	}
	if apierrors.IsNotFound(err) {
		w.lose()
	}
	w.faults.note(w.kind, "watch of "+w.what, err, w.needed())
}
