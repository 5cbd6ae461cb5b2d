package istiod

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Object is an object that istiod has in store.
type Object struct {
	Labels map[string]string
	// Version is the API server's count of changes, which grows.
	Version uint64
}

// Objects asks for all objects of Istio's own kinds that this istiod has in store, by "Kind/namespace/name".
func (s *Stream) Objects(ctx context.Context) (map[string]Object, error) {
	text, err := s.ask(ctx, "configz")
	if err != nil {
		return nil, err
	}
	return parseObjects(text)
}

func parseObjects(text []byte) (map[string]Object, error) {
	var all []struct {
		APIVersion, Kind string
		Metadata         struct {
			Namespace, Name string
			ResourceVersion string
			Labels          map[string]string
		}
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("configz: %w in %.200q", err, text)
	}
	objects := make(map[string]Object, len(all))
	for _, o := range all {
		if group, _, _ := strings.Cut(o.APIVersion, "/"); !strings.HasSuffix(group, ".istio.io") {
			continue // the Gateway API has a kind Gateway too
		}
		version, _ := strconv.ParseUint(o.Metadata.ResourceVersion, 10, 64) // what is no number is older than everything
		objects[o.Kind+"/"+o.Metadata.Namespace+"/"+o.Metadata.Name] = Object{o.Metadata.Labels, version}
	}
	return objects, nil
}
