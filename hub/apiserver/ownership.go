package apiserver

import (
	"encoding/json"
	"time"

	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fieldSet is a set of fields as managedFields has it, a tree: "f:NAME" is a field, "k:KEYS" an item of a list with
// keys, "v:VALUE" one of a set, and "." the node itself. A leaf is empty.
type fieldSet = map[string]any

// own notes in an object's managedFields what an update of its status through the API does: the fields of the
// patch are the hub's now, and nobody else's. An object without managedFields gets none.
//
// It claims all that the patch says, as an apply would; an update through the API claims only what differs from the
// schema's defaults.
func own(object map[string]any, s *statusSchema, patch map[string]any, apiVersion string, now time.Time) {
	status, _ := object["status"].(map[string]any)
	metadata, _ := object["metadata"].(map[string]any)
	entries, _ := metadata["managedFields"].([]any)
	if len(entries) == 0 {
		return
	}
	written := writtenFields(s.form, status, patch)
	ours := fieldSet{".": fieldSet{}}
	var others []any
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		if isOurs(entry) {
			set, _ := entry["fieldsV1"].(fieldSet)
			ours, _ = set["f:status"].(fieldSet)
		} else if !disowned(entry, written) {
			others = append(others, entry)
		}
	}
	metadata["managedFields"] = append(others, map[string]any{
		"manager": fieldManager, "operation": string(metav1.ManagedFieldsOperationUpdate), "subresource": "status",
		"apiVersion": apiVersion, "time": now.UTC().Format(time.RFC3339),
		"fieldsType": "FieldsV1", "fieldsV1": fieldSet{"f:status": joined(ours, written, status)},
	})
}

// isOurs tells whether an entry of managedFields is that of our own updates of the status.
func isOurs(entry map[string]any) bool {
	return entry["manager"] == fieldManager && entry["subresource"] == "status" && entry["operation"] == string(metav1.ManagedFieldsOperationUpdate)
}

// disowned takes the fields out of an entry, and tells whether it has none left.
func disowned(entry map[string]any, written fieldSet) bool {
	set, _ := entry["fieldsV1"].(fieldSet)
	theirs, ok := set["f:status"].(fieldSet)
	if !ok {
		return false
	}
	if disown(theirs, written); isBare(theirs) {
		delete(set, "f:status")
	}
	return len(set) == 0
}

// writtenFields are the fields that the patch left in the status.
func writtenFields(form *structural.Structural, status, patch map[string]any) fieldSet {
	written := fieldSet{}
	for name := range patch {
		if v, ok := status[name]; ok {
			written["f:"+name] = fieldsOf(property(form, name), v)
		}
	}
	return written
}

// joined are our fields of before and those written now, without those that the status has no more.
func joined(ours, written fieldSet, status map[string]any) fieldSet {
	all := fieldSet{}
	for name, set := range ours {
		if _, ok := status[name[min(len(name), len("f:")):]]; ok || name == "." {
			all[name] = set
		}
	}
	for name, set := range written {
		all[name] = set
	}
	return all
}

// disown takes the second set out of the first.
func disown(theirs, ours fieldSet) {
	for name, o := range ours {
		set, ok := theirs[name].(fieldSet)
		if !ok {
			continue
		}
		if disown(set, o.(fieldSet)); isBare(set) {
			delete(theirs, name)
		}
	}
}

// isBare tells whether nothing is below a node.
func isBare(set fieldSet) bool {
	_, itself := set["."]
	return len(set) == 0 || itself && len(set) == 1
}

// fieldsOf are the fields of a value; the form is nil where the schema says nothing.
func fieldsOf(form *structural.Structural, v any) fieldSet {
	switch v := v.(type) {
	case map[string]any:
		return fieldsOfObject(form, v)
	case []any:
		return fieldsOfList(form, v)
	}
	return fieldSet{}
}

func fieldsOfObject(form *structural.Structural, object map[string]any) fieldSet {
	set := fieldSet{}
	if form != nil && form.XMapType != nil && *form.XMapType == "atomic" || len(object) == 0 {
		return set
	}
	set["."] = fieldSet{}
	for name, v := range object {
		set["f:"+name] = fieldsOf(property(form, name), v)
	}
	return set
}

func fieldsOfList(form *structural.Structural, list []any) fieldSet {
	set := fieldSet{}
	if form == nil || form.XListType == nil || *form.XListType == "atomic" || len(list) == 0 {
		return set
	}
	set["."] = fieldSet{}
	for _, item := range list {
		if object, ok := item.(map[string]any); ok && *form.XListType == "map" {
			set["k:"+keysOf(object, form.XListMapKeys)] = fieldsOf(form.Items, item)
		} else {
			set["v:"+sortedJSON(item)] = fieldSet{}
		}
	}
	return set
}

func keysOf(object map[string]any, names []string) string {
	keys := map[string]any{}
	for _, name := range names {
		keys[name] = object[name]
	}
	return sortedJSON(keys)
}

// sortedJSON is JSON with sorted keys.
func sortedJSON(v any) string {
	b, _ := json.Marshal(v) // read from JSON
	return string(b)
}

// property is the form of an object's field.
func property(form *structural.Structural, name string) *structural.Structural {
	if form == nil {
		return nil
	}
	if p, ok := form.Properties[name]; ok {
		return &p
	}
	if form.AdditionalProperties != nil {
		return form.AdditionalProperties.Structural
	}
	return nil
}
