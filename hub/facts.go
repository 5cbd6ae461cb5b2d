package hub

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
)

// publishFacts writes what join tokens are made of.
func publishFacts(ctx context.Context, client kubernetes.Interface, facts hubinfo.Info) error {
	maps := client.CoreV1().ConfigMaps(hubinfo.Namespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := maps.Get(ctx, hubinfo.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			fresh := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: hubinfo.Namespace, Name: hubinfo.Name}, Data: facts.Data()}
			_, err = maps.Create(ctx, fresh, metav1.CreateOptions{})
			return err
		}
		if err != nil {
			return err
		}
		found.Data = facts.Data()
		_, err = maps.Update(ctx, found, metav1.UpdateOptions{})
		return err
	})
}
