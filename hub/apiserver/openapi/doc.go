// Package openapi describes the hub's built-in kinds, those that are not custom resources: the core
// kinds and the views. "isthmus explain", strict decoding and server-side apply read it. All of it is
// generated.
package openapi
