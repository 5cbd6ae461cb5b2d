package kube

import (
	"context"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	"github.com/isthmus-mesh/isthmus/edge/kube/istiod"
)

// isMark is whether the key of an object is that of the mark, which is ours but nobody's intent.
func isMark(key string) bool { return strings.HasSuffix(key, "/"+istiod.MarkName) }

// writeMark writes the next mark into the account's namespace: only proxies there know of it, and it concerns none.
func (s *survey) writeMark(ctx context.Context) {
	next := istiod.Mark{Writer: s.writer, Number: s.mark + 1}
	err := s.enter(ctx)
	if err == nil {
		err = s.cluster.writeOwn(ctx, "VirtualService", s.account.Namespace, next.Route())
	}
	s.cluster.noteMark(err)
	if err != nil {
		s.entered = false
		return
	}
	s.mark = next.Number
}

// noteMark notes how it went to write a mark.
func (c *Cluster) noteMark(err error) { c.faults.note("VirtualService", "mark", err, true) }

// enter writes what the mark is hung on, once.
func (s *survey) enter(ctx context.Context) error {
	if s.entered {
		return nil
	}
	err := s.cluster.writeOwn(ctx, "ServiceEntry", s.account.Namespace, istiod.Service())
	s.entered = err == nil
	return err
}

// writeOwn writes an object of the mark's name. It has not the label of the zone: it is not kept as intent is.
func (c *Cluster) writeOwn(ctx context.Context, kind, namespace string, spec proto.Message) error {
	text, err := protojson.Marshal(spec)
	if err != nil {
		return err
	}
	content := map[string]any{}
	if err := utiljson.Unmarshal(text, &content); err != nil {
		return err
	}
	i := id{kinds[kind], namespace, istiod.MarkName}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": i.kind.apiVersion(), "kind": kind, "spec": content}}
	object.SetName(i.name)
	object.SetNamespace(namespace)
	object.SetLabels(map[string]string{ManagedBy: Owner})
	body, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	request := i.at(c.raw.Patch(types.ApplyPatchType)).Param("fieldManager", Owner).Param("force", "true")
	_, err = answer(ctx, request.Body(body))
	return err
}
