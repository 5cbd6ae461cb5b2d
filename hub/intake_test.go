package hub

import (
	"errors"
	"log/slog"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/api/v1alpha1"
	"github.com/isthmus-mesh/isthmus/hub/apiserver"
)

func service(name string, generation int64, labels map[string]string) apiserver.Change {
	o := &v1alpha1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "1", Generation: generation, Labels: labels}}
	return apiserver.Change{Kind: "Service", Namespace: "shop", Name: name, Object: o}
}

func TestOnlyNewsReachTheCompiler(t *testing.T) {
	deleted := apiserver.Change{Kind: "Service", Namespace: "shop", Name: "reviews"}
	unreadable := deleted
	unreadable.Err = errors.New("no JSON")
	token := apiserver.Change{Kind: "JoinToken", Name: "t", Object: &v1alpha1.JoinToken{ObjectMeta: metav1.ObjectMeta{Name: "t", Generation: 1}}}
	secret := apiserver.Change{Kind: "Secret", Namespace: "shop", Name: "s", Object: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "s"}}}
	recreated := service("reviews", 1, nil)
	recreated.Object.(*v1alpha1.Service).UID = "2"
	cases := map[string]struct {
		change apiserver.Change
		intent int
	}{
		"StatusOnly":     {service("reviews", 1, nil), 0},
		"Generation":     {service("reviews", 2, nil), 1},
		"Labels":         {service("reviews", 1, map[string]string{"a": "b"}), 1},
		"OtherObject":    {service("ratings", 1, nil), 1},
		"Recreated":      {recreated, 1},
		"Deleted":        {deleted, 1},
		"Unreadable":     {unreadable, 0},
		"TokenUsed":      {token, 1},
		"SecretReplaced": {secret, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			i := newIntake(slog.New(slog.DiscardHandler))
			i.take(&news{}, apiserver.Batch{Revision: 1, Reset: true, Changes: []apiserver.Change{service("reviews", 1, nil), token, secret}})
			var n news
			i.take(&n, apiserver.Batch{Revision: 2, Changes: []apiserver.Change{c.change}})
			if len(n.intent) != c.intent {
				t.Errorf("the compiler is told of %d changes, want %d", len(n.intent), c.intent)
			}
			if n.revision != 2 {
				t.Errorf("revision is %d, want 2", n.revision)
			}
		})
	}
}

func TestResetDeletesWhatIsNotInIt(t *testing.T) {
	i := newIntake(slog.New(slog.DiscardHandler))
	i.take(&news{}, apiserver.Batch{Revision: 1, Reset: true, Changes: []apiserver.Change{service("reviews", 1, nil), service("ratings", 1, nil)}})
	var n news
	i.take(&n, apiserver.Batch{Revision: 9, Reset: true, Changes: []apiserver.Change{service("reviews", 1, nil)}})
	if len(n.intent) != 1 || n.intent[0].Name != "ratings" || n.intent[0].Object != nil {
		t.Errorf("the compiler is told %+v, want that ratings is gone", n.intent)
	}
	if !slices.ContainsFunc(n.written, func(c apiserver.Change) bool { return c.Name == "ratings" && c.Object == nil }) {
		t.Errorf("the ledger is not told: %+v", n.written)
	}
}
