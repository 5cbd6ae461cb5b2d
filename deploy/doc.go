// Package deploy is how Isthmus comes into a cluster: the Helm chart of a Kubernetes zone's edge, and
// [Manifest], which renders it for those who have no Helm.
//
// The chart is embedded, so that a program brings the chart of its own version and needs no network. Helm's
// engine does the rendering: what kubectl applies is what Helm would install. Nothing here talks to a cluster.
package deploy
