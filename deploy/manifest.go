package deploy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/engine"
)

const (
	// Release is the name of the edge's Helm release, and so of its objects.
	Release = "isthmus-edge"
	// Namespace is where the edge lives.
	Namespace = "isthmus-system"
)

// namespace stands before all else: with Helm it is --create-namespace that makes it.
const namespace = `apiVersion: v1
kind: Namespace
metadata:
  name: ` + Namespace + `
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
`

// Manifest is everything that starts an edge, as kubectl apply wants it. The version is that of the image,
// unless values name another; empty means the chart's.
func Manifest(version string, values Values) ([]byte, error) {
	rendered, err := render(version, values.forChart())
	if err != nil {
		return nil, fmt.Errorf("the edge's chart: %w", err)
	}
	var out bytes.Buffer
	out.WriteString(namespace)
	for _, template := range inOrder(rendered) {
		fmt.Fprintf(&out, "---\n%s\n", strings.TrimSpace(rendered[template]))
	}
	return out.Bytes(), nil
}

// render runs Helm's engine; the result is keyed by template. Values that the chart's schema does not know
// are an error.
func render(version string, values map[string]any) (map[string]string, error) {
	c, err := load(version)
	if err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: Release, Namespace: Namespace, IsInstall: true, Revision: 1}
	all, err := util.ToRenderValues(c, values, release, nil)
	if err != nil {
		return nil, err
	}
	all["Release"].(map[string]any)["Service"] = "isthmus" // the label managed-by: Helm knows nothing of these objects
	return engine.Render(c, all)
}

// inOrder lists the templates that rendered to something: by name, but what runs comes last, after what it
// runs with.
func inOrder(rendered map[string]string) (templates []string) {
	for template, text := range rendered {
		if strings.TrimSpace(text) != "" {
			templates = append(templates, template)
		}
	}
	slices.SortFunc(templates, func(a, b string) int { return strings.Compare(place(a), place(b)) })
	return templates
}

// place sorts the edge itself behind all that only prepares for it.
func place(template string) string {
	if strings.HasSuffix(template, "/edge.yaml") {
		return "~"
	}
	return template
}
