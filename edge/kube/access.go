package kube

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Access is how to reach a cluster: by a kubeconfig file, or, without one, as the pod that this runs in.
func Access(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("this is not in a pod with a service account: %w", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("the cluster's kubeconfig: %w", err)
	}
	return config, nil
}

// UID tells a cluster from every other one, as long as its storage lasts: it is that of the namespace kube-system.
func UID(ctx context.Context, access *rest.Config) (string, error) {
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return "", fmt.Errorf("the cluster's API: %w", err)
	}
	namespace, err := client.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("ask the cluster who it is: %w", err)
	}
	return string(namespace.UID), nil
}
