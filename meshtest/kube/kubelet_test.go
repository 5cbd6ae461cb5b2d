package kube

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/isthmus-mesh/isthmus/meshtest"
)

// A cluster without Istio is enough for what a kubelet does for any pod.
func TestPodsWithoutAMesh(t *testing.T) {
	w := meshtest.New(t)
	z := On(w, "plain")
	z.StartKubelet()
	z.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: demo}}\n---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: reader, namespace: demo}}")
	w.Run(t, "what a container is given", func(t *testing.T) { testGiven(t, z) })
	w.Run(t, "readiness follows the probe", func(t *testing.T) { testReadiness(t, z) })
	w.Run(t, "a pod that does not want to end", func(t *testing.T) { testStubborn(t, z) })
	w.Run(t, "a pod that ends before it begins", func(t *testing.T) { testUnborn(t, z) })
}

const givenPod = `
apiVersion: v1
kind: ConfigMap
metadata: {name: words, namespace: demo}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden, namespace: demo}
stringData: {word: sesame}
---
apiVersion: v1
kind: Pod
metadata: {name: given, namespace: demo, labels: {app: given}, annotations: {note: "a b"}}
spec:
  serviceAccountName: reader
  containers:
  - name: teller
    image: none
    command: [sh, -c, "cat /run/words/greeting /run/hidden/word /run/pod/labels; echo $(WHO) on $NODE as $LABEL at $(hostname) uid $(id -u); test -s /run/token/token && touch /var/scratch/file && ls /var/scratch; exec tail -f /dev/null"]
    env:
    - {name: WHO, value: teller}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    volumeMounts: [{name: words, mountPath: /run/words}, {name: hidden, mountPath: /run/hidden}, {name: info, mountPath: /run/pod}, {name: token, mountPath: /run/token}, {name: scratch, mountPath: /var/scratch}]
  volumes:
  - {name: words, configMap: {name: words}}
  - {name: hidden, secret: {secretName: hidden}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - {name: token, projected: {sources: [{serviceAccountToken: {path: token}}]}}
  - {name: scratch, emptyDir: {}}
`

func testGiven(t *testing.T, z *Zone) {
	z.Apply(givenPod)
	pod := z.WaitPod("demo", "app=given")
	if pod.Process(proxyContainer) != nil {
		t.Error("a pod that asked for none has a proxy")
	}
	for _, want := range []string{"hello", "sesame", `app="given"`, "teller on plain as given at given uid 2000", "file"} {
		meshtest.Eventually(t, "the container says "+want, func() error {
			if log := pod.Process("teller").Log(); !strings.Contains(log, want) {
				return fmt.Errorf("it says %s", log)
			}
			return nil
		})
	}
}

func testReadiness(t *testing.T, z *Zone) {
	z.Apply(`
apiVersion: v1
kind: Pod
metadata: {name: shop, namespace: demo, labels: {app: shop}}
spec:
  containers:
  - name: details
    image: none
    command: [shop, details, "--listen=:9080"]
    ports: [{name: web, containerPort: 9080}]
    readinessProbe: {httpGet: {path: /health, port: web}}
`)
	pod := z.WaitPod("demo", "app=shop")
	for _, health := range []string{"health=bad", "health=good"} {
		pod.Turn(health)
		z.WaitPods(map[string]int{"health=bad": 0, "health=good": 1}[health], "demo", "app=shop")
	}
}

func testStubborn(t *testing.T, z *Zone) {
	z.Apply(`
apiVersion: v1
kind: Pod
metadata: {name: stubborn, namespace: demo, labels: {app: stubborn}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: deaf, image: none, command: [sh, -c, "trap '' TERM; while true; do sleep 60; done"]}]
`)
	pod := z.WaitPod("demo", "app=stubborn")
	pid := pod.Process("deaf").PID()
	remove(t, z, "stubborn")
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err == nil {
		t.Error("it lives on")
	}
	spaces, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	for _, space := range spaces {
		if strings.HasPrefix(space.Name(), fmt.Sprintf("ism%d.", os.Getpid())) && strings.HasSuffix(space.Name(), "-"+pod.host) {
			t.Errorf("its machine %s is there", space.Name())
		}
	}
}

// The volume never comes, so the containers never start.
func testUnborn(t *testing.T, z *Zone) {
	z.Apply(`
apiVersion: v1
kind: Pod
metadata: {name: unborn, namespace: demo, labels: {app: unborn}}
spec:
  containers: [{name: idle, image: none, command: [tail, -f, /dev/null]}]
  volumes: [{name: missing, configMap: {name: missing}}]
`)
	meshtest.Eventually(t, "it has an address and is not ready", func() error {
		object, err := z.Core.CoreV1().Pods("demo").Get(t.Context(), "unborn", metav1.GetOptions{})
		if err == nil && (object.Status.PodIP == "" || object.Status.Phase != corev1.PodRunning || isReady(object)) {
			err = fmt.Errorf("status %v", object.Status)
		}
		return err
	})
	remove(t, z, "unborn")
}

// remove deletes a pod and waits until it is gone.
func remove(t *testing.T, z *Zone, name string) {
	t.Helper()
	if err := z.Core.CoreV1().Pods("demo").Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, name+" is gone", func() error {
		_, err := z.Core.CoreV1().Pods("demo").Get(t.Context(), name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %v", err)
		}
		return nil
	})
}
