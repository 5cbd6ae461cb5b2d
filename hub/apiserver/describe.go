package apiserver

import (
	"maps"

	crdserver "k8s.io/apiextensions-apiserver/pkg/apiserver"
	crdopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	openapinamer "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	utilopenapi "k8s.io/apiserver/pkg/util/openapi"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	"github.com/isthmus-mesh/isthmus/hub/apiserver/openapi"
)

// describe lets the API tell what its kinds look like, in OpenAPI v2 and v3. (The custom resources
// are described by the library, from their definitions.)
func describe(c *genericapiserver.RecommendedConfig) {
	get := utilopenapi.GetOpenAPIDefinitionsWithoutDisabledFeatures(definitions)
	namer := openapinamer.NewDefinitionNamer(crdserver.Scheme, legacyscheme.Scheme, viewScheme)
	c.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(get, namer)
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(get, namer)
	c.OpenAPIConfig.Info.Title, c.OpenAPIV3Config.Info.Title = "Isthmus", "Isthmus"
}

func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	all := crdopenapi.GetOpenAPIDefinitions(ref)
	maps.Copy(all, openapi.GetOpenAPIDefinitions(ref))
	return all
}
