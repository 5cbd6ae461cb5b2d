package kube

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mount makes the pod's volumes, and puts those of a proxy where it mounts them, below its working directory; see
// places for the others.
func (p *Pod) mount(ctx context.Context) error {
	for _, volume := range p.object.Spec.Volumes {
		files, err := p.content(ctx, volume)
		if err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
		dir := p.volume(volume.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for name, text := range files {
			if err := writeFile(filepath.Join(dir, name), text); err != nil {
				return err
			}
		}
	}
	for _, c := range p.object.Spec.Containers {
		if c.Name != proxyContainer {
			continue
		}
		for _, m := range c.VolumeMounts {
			if err := p.link(m); err != nil {
				return err
			}
		}
	}
	if err := chown(p.Dir("root"), p.owner()); err != nil {
		return err
	}
	return p.chownVolumes()
}

func (p *Pod) chownVolumes() error {
	for _, v := range p.object.Spec.Volumes {
		if err := chown(p.volume(v.Name), p.owner()); err != nil {
			return err
		}
	}
	return nil
}

// owner is who writes in the pod's folders: its proxy, if it has one.
func (p *Pod) owner() int {
	if p.hasProxy() {
		return proxyUser
	}
	return appUser
}

func (p *Pod) link(m corev1.VolumeMount) error {
	place := filepath.Join(p.Dir("root"), m.MountPath)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}
	err := os.Symlink(p.volume(m.Name), place)
	if os.IsExist(err) { // containers share places
		err = nil
	}
	return err
}

// volume is the folder of a volume. That of a claim outlives the pod.
func (p *Pod) volume(name string) string {
	for _, v := range p.object.Spec.Volumes {
		if v.Name == name && v.PersistentVolumeClaim != nil {
			return p.k.z.Machine.Dir(filepath.Join("claims", p.Namespace, v.PersistentVolumeClaim.ClaimName))
		}
	}
	return p.Dir(filepath.Join("volumes", name))
}

// content is the files of a volume.
func (p *Pod) content(ctx context.Context, v corev1.Volume) (map[string][]byte, error) {
	switch {
	case v.EmptyDir != nil, v.PersistentVolumeClaim != nil:
		return nil, nil
	case v.DownwardAPI != nil:
		return p.downward(v.DownwardAPI.Items), nil
	case v.ConfigMap != nil:
		return p.configMap(ctx, v.ConfigMap.Name, v.ConfigMap.Optional)
	case v.Secret != nil:
		secret, err := p.k.z.Core.CoreV1().Secrets(p.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
		if err != nil {
			return nil, ignoreAbsent(err, v.Secret.Optional)
		}
		return secret.Data, nil
	case v.Projected != nil:
		return p.projected(ctx, v.Projected.Sources)
	}
	return nil, fmt.Errorf("volumes of its kind are not made here")
}

func (p *Pod) projected(ctx context.Context, sources []corev1.VolumeProjection) (map[string][]byte, error) {
	all := map[string][]byte{}
	for _, source := range sources {
		var files map[string][]byte
		var err error
		switch {
		case source.ServiceAccountToken != nil:
			files, err = p.token(ctx, source.ServiceAccountToken)
		case source.ConfigMap != nil:
			files, err = p.configMap(ctx, source.ConfigMap.Name, source.ConfigMap.Optional)
		case source.DownwardAPI != nil:
			files = p.downward(source.DownwardAPI.Items)
		default:
			err = fmt.Errorf("projections of its kind are not made here")
		}
		if err != nil {
			return nil, err
		}
		for name, text := range files {
			all[name] = text
		}
	}
	return all, nil
}

// token asks for a token of the pod. It is not renewed: tests are shorter than a day.
func (p *Pod) token(ctx context.Context, projection *corev1.ServiceAccountTokenProjection) (map[string][]byte, error) {
	day := int64(24 * 3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: p.Name, UID: p.object.UID}}}
	if projection.Audience != "" {
		request.Spec.Audiences = []string{projection.Audience}
	}
	made, err := p.k.z.Core.CoreV1().ServiceAccounts(p.Namespace).CreateToken(ctx, p.account(), request, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return map[string][]byte{projection.Path: []byte(made.Status.Token)}, nil
}

func (p *Pod) configMap(ctx context.Context, name string, optional *bool) (map[string][]byte, error) {
	found, err := p.k.z.Core.CoreV1().ConfigMaps(p.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, ignoreAbsent(err, optional)
	}
	files := map[string][]byte{}
	for key, text := range found.Data {
		files[key] = []byte(text)
	}
	for key, data := range found.BinaryData {
		files[key] = slices.Clone(data)
	}
	return files, nil
}

func ignoreAbsent(err error, optional *bool) error {
	if optional != nil && *optional && apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (p *Pod) downward(items []corev1.DownwardAPIVolumeFile) map[string][]byte {
	files := map[string][]byte{}
	for _, item := range items {
		if item.FieldRef != nil {
			files[item.Path] = []byte(p.field(item.FieldRef.FieldPath))
		}
	}
	return files
}
