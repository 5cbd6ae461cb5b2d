package kube

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// Users of a pod.
const (
	proxyUser = 1337 // whose connections are not captured
	appUser   = 2000
)

// container is a process group of a pod.
type container struct {
	spec     corev1.Container
	process  *meshtest.Process
	pid      int // of the life that began last
	began    time.Time
	restarts int32
}

// Process is that of a container, for instance to kill or to pause it; nil if there is no such container. The
// kubelet starts it again when it has ended.
func (p *Pod) Process(name string) *meshtest.Process {
	for _, c := range p.started() {
		if c.spec.Name == name {
			return c.process
		}
	}
	return nil
}

func (p *Pod) started() []*container {
	if all := p.containers.Load(); all != nil {
		return *all
	}
	return nil
}

// start starts the containers that have a command.
func (p *Pod) start(context.Context) error {
	all := []*container{}
	for _, spec := range p.object.Spec.Containers {
		argv, env := p.commandLine(spec)
		if len(argv) == 0 {
			continue
		}
		c := &container{spec: spec}
		c.process = meshtest.NewProcess(p.scope, p.Dir(""), spec.Name, func() *exec.Cmd { return p.containerCommand(spec, argv, env) })
		c.start()
		all = append(all, c)
	}
	p.containers.Store(&all)
	return nil
}

func (c *container) start() {
	c.process.Start()
	c.pid, c.began = c.process.PID(), time.Now()
}

// restartPause is between two starts of a container at least.
const restartPause = time.Second

// restart starts containers again that have ended. What they left running ends first.
func (p *Pod) restart() {
	for _, c := range p.started() {
		if !c.process.Running() && time.Since(c.began) > restartPause {
			c.kill()
			c.restarts++
			c.start()
		}
	}
}

// kill ends everything in the container, as the end of a container's first process does.
func (c *container) kill() {
	syscall.Kill(-c.pid, syscall.SIGKILL) // there may be nothing left
	c.process.Wait()
}

// terminate asks all containers to end and kills those that do not; if ctx has ended, all at once.
func (p *Pod) terminate(ctx context.Context) {
	defer func() {
		for _, c := range p.started() {
			c.kill()
		}
	}()
	p.preStop(ctx)
	if ctx.Err() != nil {
		return
	}
	for _, c := range p.started() {
		c.process.Signal(syscall.SIGTERM)
		c.process.Resume()
	}
	grace := time.NewTimer(p.grace())
	defer grace.Stop()
	for _, c := range p.started() {
		ended := make(chan struct{})
		go func() { c.process.Wait(); close(ended) }() // it ends by kill at the latest
		select {
		case <-ended:
		case <-grace.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (p *Pod) grace() time.Duration {
	if seconds := p.object.Spec.TerminationGracePeriodSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return 30 * time.Second
}

// preStop does what containers want before they are asked to end, if it is to sleep: the longest counts.
func (p *Pod) preStop(ctx context.Context) {
	var longest int64
	for _, c := range p.started() {
		if l := c.spec.Lifecycle; l != nil && l.PreStop != nil && l.PreStop.Sleep != nil {
			longest = max(longest, l.PreStop.Sleep.Seconds)
		}
	}
	pause := time.NewTimer(time.Duration(longest) * time.Second)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-ctx.Done():
	}
}

func (c *container) status(ready bool) corev1.ContainerStatus {
	running := c.process.Running()
	status := corev1.ContainerStatus{Name: c.spec.Name, Ready: ready, Started: &running, Image: c.spec.Image, ImageID: "none", RestartCount: c.restarts}
	if running {
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(c.began.Truncate(time.Second))}
	} else {
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	}
	return status
}

// containerCommand runs a command as its user, with the pod's name as host name.
func (p *Pod) containerCommand(spec corev1.Container, argv, env []string) *exec.Cmd {
	user := appUser
	if spec.Name == proxyContainer {
		user = proxyUser
	}
	id := strconv.Itoa(user)
	chain := []string{"-c", p.places(spec) + `hostname "$0" && exec "$@"`, p.Name, "setpriv", "--reuid=" + id, "--regid=" + id, "--clear-groups", "--no-new-privs", "--pdeathsig=KILL", "--"}
	cmd := p.Command(context.Background(), "sh", append(chain, argv...)...)
	cmd.Dir, cmd.Env = p.Dir("root"), env
	return cmd
}

// commandLine is a container's command and environment, with $(NAME) replaced in both.
func (p *Pod) commandLine(spec corev1.Container) (argv, env []string) {
	env = []string{"PATH=" + p.k.files.programs + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "HOSTNAME=" + p.Name,
		"KUBERNETES_SERVICE_HOST=" + p.k.z.ip, "KUBERNETES_SERVICE_PORT=6443"}
	var pairs []string
	for _, e := range spec.Env {
		value := strings.NewReplacer(pairs...).Replace(e.Value)
		if e.ValueFrom != nil && e.ValueFrom.FieldRef != nil {
			value = p.field(e.ValueFrom.FieldRef.FieldPath)
		}
		pairs = append(pairs, "$("+e.Name+")", value)
		env = append(env, e.Name+"="+value)
	}
	for _, arg := range slices.Concat(spec.Command, spec.Args) {
		argv = append(argv, strings.NewReplacer(pairs...).Replace(arg))
	}
	return argv, env
}

// field is what the downward API tells.
func (p *Pod) field(path string) string {
	switch path {
	case "metadata.name":
		return p.Name
	case "metadata.namespace":
		return p.Namespace
	case "metadata.uid":
		return string(p.object.UID)
	case "metadata.labels":
		return lines(p.object.Labels)
	case "metadata.annotations":
		return lines(p.object.Annotations)
	case "spec.nodeName":
		return p.object.Spec.NodeName
	case "spec.serviceAccountName":
		return p.account()
	case "status.podIP":
		return p.IPv4.String()
	case "status.hostIP":
		return p.k.z.Machine.IPv4.String()
	}
	for prefix, values := range map[string]map[string]string{"metadata.labels['": p.object.Labels, "metadata.annotations['": p.object.Annotations} {
		if key, found := strings.CutPrefix(path, prefix); found {
			return values[strings.TrimSuffix(key, "']")]
		}
	}
	return ""
}

// lines are labels or annotations as files of the downward API have them.
func lines(values map[string]string) string {
	var text []string
	for key, value := range values {
		text = append(text, fmt.Sprintf("%s=%q", key, value))
	}
	slices.Sort(text)
	return strings.Join(text, "\n")
}

func (p *Pod) account() string {
	if p.object.Spec.ServiceAccountName != "" {
		return p.object.Spec.ServiceAccountName
	}
	return "default"
}

// chown gives files to a user, with everything below.
func chown(root string, user int) error {
	return filepath.WalkDir(root, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
}
