// Command etcd is upstream's etcd. It is a file of its own: beside Kubernetes it would need three times the memory.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
