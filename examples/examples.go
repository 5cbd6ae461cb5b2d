// Package examples holds the objects that documentation, the demo and the tests apply: one file a
// story, all about the sample application in the folder shop.
package examples

import "embed"

// Files are the YAML files of this folder.
//
//go:embed *.yaml
var Files embed.FS
