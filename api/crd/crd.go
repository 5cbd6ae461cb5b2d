// Package crd embeds the CustomResourceDefinitions the hub serves: Isthmus' own, generated from
// api/v1alpha1, and those of the Gateway API and of Istio, copied from their modules.
package crd

import "embed"

// Files holds the definitions, one YAML document a file, under isthmus/, gateway/ and istio/.
//
//go:embed isthmus/*.yaml gateway/*.yaml istio/*.yaml
var Files embed.FS
