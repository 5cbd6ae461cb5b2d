package kube

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// proxyContainer is the name of the proxy's container, as Istio has it.
const proxyContainer = "istio-proxy"

const (
	injectLabel         = "sidecar.istio.io/inject"
	templatesAnnotation = "inject.istio.io/templates"
)

// isGateway is whether the proxy is the pod's application.
func (p *Pod) isGateway() bool { return p.object.Annotations[templatesAnnotation] == "gateway" }

func (p *Pod) hasProxy() bool {
	return slices.ContainsFunc(p.object.Spec.Containers, func(c corev1.Container) bool { return c.Name == proxyContainer && len(c.Command) > 0 })
}

// inject puts the proxy beside the pod's containers and labels the pod as Istio's webhook does, by which clients
// know that it speaks mutual TLS.
func (p *Pod) inject(ctx context.Context) error {
	wanted, err := p.wantsProxy(ctx)
	if err != nil || !wanted || p.hasProxy() {
		return err
	}
	labels := map[string]string{"security.istio.io/tlsMode": "istio", "service.istio.io/canonical-name": p.application(), "service.istio.io/canonical-revision": p.revision()}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID, "labels": labels}})
	if err != nil {
		return err
	}
	labelled, err := p.k.z.Core.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone; another may have its name
			err = nil
		}
		return err
	}
	p.object = labelled
	p.addProxy()
	return nil
}

func (p *Pod) wantsProxy(ctx context.Context) (bool, error) {
	if own := p.object.Labels[injectLabel]; own != "" {
		return own == "true", nil
	}
	namespace, err := p.k.z.Core.CoreV1().Namespaces().Get(ctx, p.Namespace, metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	return namespace.Labels["istio-injection"] == "enabled", nil
}

func (p *Pod) application() string {
	if app := p.object.Labels["app"]; app != "" {
		return app
	}
	return p.Name
}

func (p *Pod) revision() string {
	if version := p.object.Labels["version"]; version != "" {
		return version
	}
	return "latest"
}

// addProxy adds the container, or completes one that the pod has: it is there for its environment.
func (p *Pod) addProxy() {
	kind := "sidecar"
	if p.isGateway() {
		kind = "router"
	}
	proxy := corev1.Container{
		Name: proxyContainer, Image: "none",
		Command: []string{p.k.files.agent}, Args: []string{"proxy", kind, "--domain=" + p.Namespace + ".svc.cluster.local"},
		Env: p.proxyEnv(),
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(15021), Path: "/healthz/ready"}}},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "istio-token", MountPath: "/var/run/secrets/tokens"}, {Name: "istiod-ca-cert", MountPath: "/var/run/secrets/istio"},
			{Name: "istio-podinfo", MountPath: "/etc/istio/pod"}, {Name: "istio-envoy", MountPath: "/etc/istio/proxy"},
			{Name: "workload-socket", MountPath: "/var/run/secrets/workload-spiffe-uds"}},
	}
	spec := &p.object.Spec
	if at := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return c.Name == proxyContainer }); at >= 0 {
		proxy.Env = append(proxy.Env, spec.Containers[at].Env...)
		spec.Containers = slices.Delete(spec.Containers, at, at+1)
	}
	spec.Containers = append(spec.Containers, proxy)
	spec.Volumes = append(spec.Volumes, proxyVolumes()...)
}

func (p *Pod) proxyEnv() []corev1.EnvVar {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	z := p.k.z
	env := []corev1.EnvVar{
		field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"),
		field("INSTANCE_IP", "status.podIP"), field("SERVICE_ACCOUNT", "spec.serviceAccountName"),
		{Name: "TRUST_DOMAIN", Value: z.istio.trustDomain()}, {Name: "PROXY_CONFIG", Value: p.proxyConfig()},
		{Name: "ISTIO_META_CLUSTER_ID", Value: z.istio.ClusterID}, {Name: "ISTIO_META_INTERCEPTION_MODE", Value: "REDIRECT"},
		{Name: "ISTIO_META_DNS_CAPTURE", Value: "true"}, {Name: "ISTIO_META_WORKLOAD_NAME", Value: p.application()},
	}
	for name, value := range z.istio.proxyMetadata() {
		env = append(env, corev1.EnvVar{Name: name, Value: fmt.Sprint(value)})
	}
	if z.istio.Network != "" {
		env = append(env, corev1.EnvVar{Name: "ISTIO_META_NETWORK", Value: z.istio.Network})
	}
	return env
}

// proxyConfig has paths below the working directory, so that pods need no file system of their own.
func (p *Pod) proxyConfig() string {
	config, err := json.Marshal(map[string]any{
		"discoveryAddress": fmt.Sprintf("%s:%d", istiodHost, istiodPort), "binaryPath": p.k.files.envoy,
		"proxyBootstrapTemplatePath": p.k.files.bootstrap, "configPath": "./etc/istio/proxy", "statusPort": 15020,
		"concurrency": 1, "drainDuration": "5s", "terminationDrainDuration": "2s",
	})
	if err != nil {
		p.k.z.t.Error(err) // strings and numbers have a JSON
	}
	return string(config)
}

func proxyVolumes() []corev1.Volume {
	day := int64(24 * 3600)
	label := func(path string) corev1.DownwardAPIVolumeFile {
		return corev1.DownwardAPIVolumeFile{Path: path, FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata." + path}}
	}
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	return []corev1.Volume{
		{Name: "istio-token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: "istio-ca", ExpirationSeconds: &day, Path: "istio-token"}}}}}},
		{Name: "istiod-ca-cert", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "istio-ca-root-cert"}}}},
		{Name: "istio-podinfo", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{label("labels"), label("annotations")}}}},
		{Name: "istio-envoy", VolumeSource: empty}, {Name: "workload-socket", VolumeSource: empty},
	}
}

//go:embed capture.nft
var captureRules string

// The LAN's IPv6 is not the pod's, so that everything the pod does is seen by its rules.
const prepareNetwork = `echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start`

// capture prepares the pod's network, and leads it through the proxy unless that is the application.
func (p *Pod) capture(ctx context.Context) error {
	script := prepareNetwork
	if p.hasProxy() && !p.isGateway() {
		script += "\nnft -f -"
	}
	cmd := p.Command(ctx, "sh", "-ec", script)
	cmd.Stdin = strings.NewReader(captureRules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("preparing the network: %w: %s", err, out)
	}
	return nil
}
