// Command kube is kube-apiserver and kube-controller-manager in one file: which, says the name it is called by.
package main

import (
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	command := apiserver.NewAPIServerCommand()
	if filepath.Base(os.Args[0]) == "kube-controller-manager" {
		command = controllers.NewControllerManagerCommand()
	}
	os.Exit(cli.Run(command))
}
