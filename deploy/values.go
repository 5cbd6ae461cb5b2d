package deploy

import "strings"

// Values are what the manifest of an edge can be told; the chart's values.yaml holds all the rest.
type Values struct {
	// Image of the edge, "REPOSITORY:TAG", "REPOSITORY@sha256:..." or "REPOSITORY"; empty means the chart's.
	Image string
	// JoinTokens of role edge, one per edge. There are as many edges as tokens.
	JoinTokens []string
	// IstioNamespace is where the cluster's istiod runs; empty means the chart's.
	IstioNamespace string
}

// forChart puts values where the chart looks for them.
func (v Values) forChart() map[string]any {
	tokens := make([]any, 0, len(v.JoinTokens)) // as it would come out of YAML: the schema knows no other slices
	for _, token := range v.JoinTokens {
		tokens = append(tokens, token)
	}
	values := map[string]any{"image": image(v.Image), "joinTokens": tokens, "replicas": max(1, len(tokens))}
	if v.IstioNamespace != "" {
		values["receipts"] = map[string]any{"istioNamespace": v.IstioNamespace}
	}
	return values
}

// image takes a reference apart. A colon before the last slash belongs to the registry's port.
func image(reference string) map[string]any {
	if reference == "" {
		return map[string]any{} // the chart fills it
	}
	if repository, digest, ok := strings.Cut(reference, "@"); ok {
		return map[string]any{"repository": repository, "digest": digest}
	}
	if colon := strings.LastIndex(reference, ":"); colon > strings.LastIndex(reference, "/") {
		return map[string]any{"repository": reference[:colon], "tag": reference[colon+1:]}
	}
	return map[string]any{"repository": reference}
}
