package kube

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// report tells the API server how the pod is, if that is news. A pod that ends is not ready.
func (p *Pod) report(ctx context.Context) error {
	status := p.status()
	if equality.Semantic.DeepEqual(status, p.told) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.object.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = p.k.z.Core.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err == nil {
		p.told = status
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone; another may have its name
		err = nil
	}
	return err
}

func (p *Pod) status() corev1.PodStatus {
	began, ip := metav1.NewTime(p.began.Truncate(time.Second)), p.IPv4.String()
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: p.k.z.Machine.IPv4.String(), HostIPs: []corev1.HostIP{{IP: p.k.z.Machine.IPv4.String()}},
		PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &began,
	}
	all := p.started() != nil && p.ctx.Err() == nil
	for _, c := range p.started() {
		told := c.status(p.ctx.Err() == nil && p.serves(c))
		all = all && told.Ready
		status.ContainerStatuses = append(status.ContainerStatuses, told)
	}
	status.Conditions = []corev1.PodCondition{
		p.condition(corev1.PodScheduled, true), p.condition(corev1.PodInitialized, true),
		p.condition(corev1.ContainersReady, all), p.condition(corev1.PodReady, all),
	}
	return status
}

// condition keeps the time of the last change.
func (p *Pod) condition(kind corev1.PodConditionType, holds bool) corev1.PodCondition {
	status := corev1.ConditionFalse
	if holds {
		status = corev1.ConditionTrue
	}
	for _, before := range p.told.Conditions {
		if before.Type == kind && before.Status == status {
			return before
		}
	}
	return corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(time.Now().Truncate(time.Second))}
}

// probeTimeout is Kubernetes' default.
const probeTimeout = time.Second

// serves is whether a container runs and answers its readiness probe, which is asked past capture and proxy.
func (p *Pod) serves(c *container) bool {
	probe := c.spec.ReadinessProbe
	switch {
	case !c.process.Running():
		return false
	case probe != nil && probe.HTTPGet != nil:
		return p.answers(p.at(c, probe.HTTPGet.Port), probe.HTTPGet.Path)
	case probe != nil && probe.TCPSocket != nil:
		return p.listens(p.at(c, probe.TCPSocket.Port))
	}
	return true
}

func (p *Pod) answers(address, path string) bool {
	ctx, cancel := context.WithTimeout(p.ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return false
	}
	client := &http.Client{Transport: &http.Transport{DialContext: p.DialContext, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode < 400
}

func (p *Pod) listens(address string) bool {
	ctx, cancel := context.WithTimeout(p.ctx, probeTimeout)
	defer cancel()
	conn, err := p.DialContext(ctx, "tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// at is the address of a port, which a probe may name.
func (p *Pod) at(c *container, port intstr.IntOrString) string {
	number := port.IntValue()
	for _, named := range c.spec.Ports {
		if port.Type == intstr.String && named.Name == port.StrVal {
			number = int(named.ContainerPort)
		}
	}
	return net.JoinHostPort(p.IPv4.String(), strconv.Itoa(number))
}
