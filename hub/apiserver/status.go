package apiserver

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// PatchStatus merges status, anything that marshals to JSON, into the status of an object of the
// stream; lists are replaced as a whole. It fails with a conflict if the object of that name is not
// the one with uid any more (an empty uid means any), and with NotFound if there is none.
func (s *Server) PatchStatus(ctx context.Context, kind, namespace, name string, uid types.UID, status any) error {
	k, err := kindNamed(kind)
	if err != nil {
		return err
	}
	patch := map[string]any{"status": status}
	if uid != "" {
		patch["metadata"] = map[string]any{"uid": uid}
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = s.clients.dynamic.Resource(k.resource).Namespace(namespace).Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	return err
}
