package pilot

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collection"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/kind"
	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/util/sets"
)

// store holds the Istio objects that proxies get, and answers Istio's questions for them. It is written
// only by [Pilot] and announces nothing: whoever writes also pushes.
type store struct {
	virtualServices virtualServices

	mu      sync.RWMutex // guards the rest
	objects map[config.GroupVersionKind]map[key]config.Config
	// layer4 are the virtual services that have, or had, routes for connections.
	layer4 map[key]bool
	// individual means that there is, or was, an object that selects workloads by what is theirs alone.
	individual bool
}

// key names an object among those of its kind.
type key struct{ namespace, name string }

func newStore(stop <-chan struct{}) *store {
	return &store{
		virtualServices: newVirtualServices(stop),
		objects:         map[config.GroupVersionKind]map[key]config.Config{},
		layer4:          map[key]bool{},
	}
}

// put adds or replaces an object; the object is not changed afterwards.
func (s *store) put(c config.Config) {
	if c.GroupVersionKind == gvk.VirtualService {
		s.virtualServices.put(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := s.objects[c.GroupVersionKind]
	if same == nil {
		same = map[key]config.Config{}
		s.objects[c.GroupVersionKind] = same
	}
	same[key{c.Namespace, c.Name}] = c
	if v, ok := c.Spec.(*networking.VirtualService); ok && len(v.Tcp)+len(v.Tls) > 0 {
		s.layer4[key{c.Namespace, c.Name}] = true
	}
	s.individual = s.individual || selectsIndividuals(c)
}

// selectsIndividuals tells whether the object can mean one workload and not another that is otherwise alike. Sidecars
// may: a proxy's scope says which it is.
func selectsIndividuals(c config.Config) bool {
	spec, readable := c.Spec.(proto.Message)
	if !readable || c.GroupVersionKind == gvk.Sidecar {
		return false
	}
	if filter, ok := spec.(*networking.EnvoyFilter); ok {
		for _, patch := range filter.ConfigPatches {
			if len(patch.GetMatch().GetProxy().GetMetadata()) > 0 {
				return true
			}
		}
	}
	found := false
	texts(spec.ProtoReflect(), func(text string) { found = found || text == LabelWorkload })
	return found
}

// selectsIndividuals tells whether there is such an object.
func (s *store) selectsIndividuals() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.individual
}

// onlyRoutes tells whether the changes are of virtual services for HTTP alone. A sidecar's listeners fetch those
// routes by port, so they stay as they are; generating them anew is the dearest part of a push.
func (s *store) onlyRoutes(changed sets.Set[model.ConfigKey]) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k := range changed {
		if k.Kind != kind.VirtualService || s.layer4[key{k.Namespace, k.Name}] {
			return false
		}
	}
	return len(changed) > 0
}

// drop removes an object; one that is not there is no error.
func (s *store) drop(kind config.GroupVersionKind, namespace, name string) {
	if kind == gvk.VirtualService {
		s.virtualServices.drop(namespace, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects[kind], key{namespace, name})
}

// Schemas implements [model.ConfigStore].
func (s *store) Schemas() collection.Schemas { return collections.Pilot }

// Get implements [model.ConfigStore]: nil when there is no such object.
func (s *store) Get(kind config.GroupVersionKind, name, namespace string) *config.Config {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c, ok := s.objects[kind][key{namespace, name}]; ok {
		return &c
	}
	return nil
}

// List implements [model.ConfigStore]; sorted, so that what is generated from it is stable.
func (s *store) List(kind config.GroupVersionKind, namespace string) []config.Config {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []config.Config
	for k, c := range s.objects[kind] {
		if namespace == model.NamespaceAll || namespace == k.namespace {
			out = append(out, editable(c))
		}
	}
	slices.SortFunc(out, func(a, b config.Config) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return out
}

// editable returns an object of which Istio may edit what it edits while others read: hosts of destination rules when a push
// begins, TLS of gateways when listeners are made.
func editable(c config.Config) config.Config {
	switch spec := c.Spec.(type) {
	case *networking.DestinationRule: // there are many: only the rule itself is a copy
		rule := spec.ProtoReflect().New()
		spec.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			rule.Set(field, value)
			return true
		})
		c.Spec = rule.Interface()
	case *networking.Gateway:
		c.Spec = spec.DeepCopy()
	}
	return c
}

var errReadOnly = errors.New("configuration comes from the hub only")

// Create implements [model.ConfigStore] and refuses.
func (s *store) Create(config.Config) (string, error) { return "", errReadOnly }

// Update implements [model.ConfigStore] and refuses.
func (s *store) Update(config.Config) (string, error) { return "", errReadOnly }

// UpdateStatus implements [model.ConfigStore] and refuses.
func (s *store) UpdateStatus(config.Config) (string, error) { return "", errReadOnly }

// Delete implements [model.ConfigStore] and refuses.
func (s *store) Delete(config.GroupVersionKind, string, string, *string) error { return errReadOnly }

// RegisterEventHandler implements [model.ConfigStoreController]: there are no events.
func (s *store) RegisterEventHandler(config.GroupVersionKind, model.EventHandler) {}

// Run implements [model.ConfigStoreController]: there is nothing to run.
func (s *store) Run(<-chan struct{}) {}

// HasSynced implements [model.ConfigStoreController].
func (s *store) HasSynced() bool { return true }

// KrtCollection implements [model.ConfigStoreController] for the one kind that Istio reads that way.
func (s *store) KrtCollection(kind config.GroupVersionKind) krt.Collection[config.Config] {
	if kind != gvk.VirtualService {
		return nil
	}
	return s.virtualServices.objects
}
