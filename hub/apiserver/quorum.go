package apiserver

import (
	"encoding/json"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// requireQuorum answers 503 at once while the storage knows no leader: without it requests hang for
// half a minute.
func requireQuorum(quorum func() bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if quorum() || !usesStorage(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		status := apierrors.NewServiceUnavailable("the hub's storage has no quorum: try again, or ask another hub").Status()
		status.Kind, status.APIVersion = "Status", "v1"
		status.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		json.NewEncoder(w).Encode(status) // the client may be gone; nobody else cares
	})
}

func usesStorage(path string) bool {
	return strings.HasPrefix(path, "/apis/") || strings.HasPrefix(path, "/api/")
}
