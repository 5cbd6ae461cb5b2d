package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// What marks our objects.
const (
	ManagedBy         = "app.kubernetes.io/managed-by"
	Owner             = "isthmus" // the value of ManagedBy, and our field manager
	ZoneLabel         = "isthmus.dev/zone"
	OriginsAnnotation = "isthmus.dev/origins"
	VersionAnnotation = "isthmus.dev/version"
)

// live is an object of the cluster, stripped. Of objects of others there is no more than who manages them.
type live struct {
	own         bool
	uid         string
	terminating bool
	version     string // the feed's, as we wrote it
	origins     string
	labels      map[string]string
	content     string // hash of everything but metadata and status
	// others are the managers of fields besides us.
	others []manager
}

// manager is somebody who set fields of an object.
type manager struct {
	name   string
	time   time.Time
	fields []string
}

// readLive strips an object.
func readLive(zone string) func(any) live {
	return func(object any) live {
		u := object.(*unstructured.Unstructured) // of the dynamic client
		labels := u.GetLabels()
		l := live{uid: string(u.GetUID()), own: labels[ManagedBy] == Owner && labels[ZoneLabel] == zone, others: managers(u.GetManagedFields())}
		if !l.own {
			return l
		}
		annotations := u.GetAnnotations()
		l.version, l.origins, l.labels = annotations[VersionAnnotation], annotations[OriginsAnnotation], labels
		l.terminating = u.GetDeletionTimestamp() != nil
		l.content = hash(content(u.Object))
		return l
	}
}

// content is what of an object is its author's.
func content(object map[string]any) map[string]any {
	c := maps.Clone(object)
	for _, key := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(c, key)
	}
	return c
}

// hash of JSON values; equal values have equal hashes.
func hash(value any) string {
	text, err := json.Marshal(value) // keys are sorted
	if err != nil {
		panic("kube: a value from JSON is no JSON: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// managers are those besides us, the last one first. Status is not theirs to be blamed for.
func managers(entries []metav1.ManagedFieldsEntry) []manager {
	var all []manager
	for _, e := range entries {
		if e.Subresource != "" || e.Manager == Owner && e.Operation == metav1.ManagedFieldsOperationApply {
			continue
		}
		m := manager{name: e.Manager, fields: fields(e.FieldsV1)}
		if e.Time != nil {
			m.time = e.Time.Time
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b manager) int { return b.time.Compare(a.time) })
	return all
}

// fields are the paths of managed fields, the longest that every object has.
func fields(raw *metav1.FieldsV1) []string {
	var tree map[string]any
	if raw == nil || json.Unmarshal(raw.GetRawBytes(), &tree) != nil {
		return nil
	}
	var paths []string
	collect("", tree, &paths)
	slices.Sort(paths)
	return paths
}

// collect walks a tree of managed fields: "f:name" is a field, "k:{...}" an element of a list, "." the thing itself.
func collect(path string, tree map[string]any, paths *[]string) {
	leaf := true
	for key, value := range tree {
		if key == "." {
			continue
		}
		leaf = false
		below, _ := value.(map[string]any)
		if name, ok := strings.CutPrefix(key, "f:"); ok {
			collect(join(path, name), below, paths)
		} else {
			collect(path+"["+key+"]", below, paths)
		}
	}
	if leaf && path != "" {
		*paths = append(*paths, path)
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// names are the managers' names, for a message.
func names(all []manager) string {
	var list []string
	for _, m := range all {
		if !slices.Contains(list, m.name) {
			list = append(list, m.name)
		}
	}
	if len(list) == 0 {
		return "nobody we know"
	}
	return strings.Join(list, ", ")
}

// namespace is what matters of one here.
type namespace struct{ terminating bool }
