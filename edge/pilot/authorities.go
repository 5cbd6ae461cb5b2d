package pilot

import (
	"strings"

	"istio.io/istio/pilot/pkg/model"
)

const configMapScheme = "configmap://"

// secretGenerator generates what Istio does, except that a workspace's authorities go only to its own proxies and
// to those that it shows a service: they are what that service's certificate is verified with.
type secretGenerator struct{ model.XdsResourceGenerator }

// Generate implements [model.XdsResourceGenerator].
func (g secretGenerator) Generate(proxy *model.Proxy, w *model.WatchedResource, req *model.PushRequest) (model.Resources, model.XdsLogDetails, error) {
	allowed := w.ResourceNames.Copy()
	for name := range w.ResourceNames {
		if workspace, is := authorityOf(name); is && !mayVerify(proxy, workspace) {
			allowed.Delete(name)
		}
	}
	return g.XdsResourceGenerator.Generate(proxy, &model.WatchedResource{TypeUrl: w.TypeUrl, ResourceNames: allowed}, req)
}

// authorityOf is the workspace in the name of an authority's secret.
func authorityOf(secret string) (workspace string, is bool) {
	path, is := strings.CutPrefix(secret, configMapScheme)
	workspace, _, _ = strings.Cut(path, "/")
	return workspace, is
}

// mayVerify tells whether the proxy is the workspace's, or sees a service of it.
func mayVerify(proxy *model.Proxy, workspace string) bool {
	if proxy.ConfigNamespace == workspace {
		return true
	}
	for _, s := range proxy.SidecarScope.Services() {
		if s.Attributes.Namespace == workspace {
			return true
		}
	}
	return false
}
