// Package crd embeds the CustomResourceDefinitions the hub serves: Isthmus' own, generated from
// api/v1alpha1, and those of the Gateway API, copied from its module.
package crd

import "embed"

// Files holds the definitions, one YAML document a file, under isthmus/ and gateway/.
//
//go:embed isthmus/*.yaml gateway/*.yaml
var Files embed.FS
