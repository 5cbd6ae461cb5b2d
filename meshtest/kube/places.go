package kube

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// places is a script that puts a container's volumes where it mounts them. It runs in the container's own view
// of the file system: nobody else sees the mounts. Proxies have their volumes below the working directory.
func (p *Pod) places(spec corev1.Container) string {
	if spec.Name == proxyContainer {
		return ""
	}
	var rooms, mounts []string
	for _, m := range spec.VolumeMounts {
		if room := roomFor(m.MountPath); room != m.MountPath && !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
		mounts = append(mounts, fmt.Sprintf("mkdir -p %[2]s && mount --bind %[1]s %[2]s && ", p.volume(m.Name), m.MountPath))
	}
	script := ""
	for _, room := range rooms { // an empty folder is laid over each first, where new folders can be made
		if room == "/" { // nothing can be laid over it
			return "echo no volume can be mounted directly below / >&2; exit 1; "
		}
		script += "mount -t tmpfs tmpfs " + room + " && "
	}
	return script + strings.Join(mounts, "")
}

// roomFor is the folder of this machine that a mount's place is in, or the place itself if it is there.
func roomFor(place string) string {
	for room := place; ; room = filepath.Dir(room) {
		if real, err := filepath.EvalSymlinks(room); err == nil {
			if room == place {
				return place
			}
			return real
		}
	}
}

// tokenMount is where a pod finds the token of its service account.
const tokenMount = "/var/run/secrets/kubernetes.io/serviceaccount"

// identify gives a pod that names its service account the token, as the admission plugin ServiceAccount would; no
// other of these pods asks the API server anything.
func (p *Pod) identify(context.Context) error {
	spec, name := &p.object.Spec, "kube-api-access"
	if spec.ServiceAccountName == "" || slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }) {
		return nil
	}
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
			{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}}},
	}}}})
	for i := range spec.Containers {
		if c := &spec.Containers[i]; !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == tokenMount }) {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: name, MountPath: tokenMount, ReadOnly: true})
		}
	}
	return nil
}
