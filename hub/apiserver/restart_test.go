package apiserver

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func adminOf(t *testing.T, s *Server) kubernetes.Interface {
	t.Helper()
	c, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	check(t, err)
	c.QPS = -1
	return kubernetes.NewForConfigOrDie(c)
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	s, stop, err := start(Config{DataDir: dir, Listen: "127.0.0.1:0"})
	check(t, err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"a": "b"}}
	made, err := adminOf(t, s).CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{})
	check(t, err)
	ca := string(s.pki.caPEM())

	// Something older than this hub's definitions is brought up to date.
	crds := s.clients.crds.ApiextensionsV1().CustomResourceDefinitions()
	zones, err := crds.Get(t.Context(), "zones.isthmus.dev", metav1.GetOptions{})
	check(t, err)
	zones.Spec.Names.ShortNames = []string{"old"}
	_, err = crds.Update(t.Context(), zones, metav1.UpdateOptions{})
	check(t, err)
	check(t, stop())

	began := time.Now()
	s, stop, err = start(Config{DataDir: dir, Listen: "127.0.0.1:0", Advertise: []string{"hub.example", "10.1.2.3"}})
	check(t, err)
	t.Logf("ready after a restart: %v", time.Since(began).Round(time.Millisecond))
	defer func() { check(t, stop()) }()
	again, err := adminOf(t, s).CoreV1().Secrets("default").Get(t.Context(), "s", metav1.GetOptions{})
	check(t, err)
	if again.UID != made.UID || again.ResourceVersion != made.ResourceVersion || string(again.Data["a"]) != "b" {
		t.Errorf("from %+v to %+v", made, again)
	}
	if string(s.pki.caPEM()) != ca {
		t.Error("another authority")
	}
	zones, err = s.clients.crds.ApiextensionsV1().CustomResourceDefinitions().Get(t.Context(), "zones.isthmus.dev", metav1.GetOptions{})
	check(t, err)
	if fmt.Sprint(zones.Spec.Names.ShortNames) != "[zn]" {
		t.Errorf("short names of a definition that differs: %v", zones.Spec.Names.ShortNames)
	}
	certificate, err := s.pki.load("server.crt")
	check(t, err)
	for _, host := range []string{"hub.example", "10.1.2.3", "localhost"} {
		if err := certificate.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatIsInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"port taken":           {Config{DataDir: t.TempDir(), Listen: world.Address()}, "free the address or choose another one"},
		"directory in use":     {Config{DataDir: world.config.DataDir, Listen: "127.0.0.1:0"}, "in use by another hub"},
		"path too long":        {Config{DataDir: filepath.Join(t.TempDir(), strings.Repeat("x", 100)), Listen: "127.0.0.1:0"}, "too long for a socket"},
		"address not ours":     {Config{DataDir: t.TempDir(), Listen: "192.0.2.1:7443"}, "cannot listen on 192.0.2.1:7443"},
		"directory not usable": {Config{DataDir: "/dev/null/hub", Listen: "127.0.0.1:0"}, "/dev/null"},
	} {
		c.config.Log = testLog()
		s, err := Open(t.Context(), c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if err == nil {
			s.Close()
		}
	}
}

func TestCloseWithoutRun(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // nothing is left that would be in the way
		s, err := Open(t.Context(), Config{DataDir: dir, Listen: "127.0.0.1:0", Log: testLog()})
		check(t, err)
		check(t, s.Close())
	}
}

func TestExternalEtcd(t *testing.T) {
	outside, err := startEtcd(t.Context(), t.TempDir(), testLog())
	check(t, err)
	defer outside.close()
	s, stop, err := start(Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Etcd: ExternalEtcd{Servers: outside.transport.ServerList}})
	check(t, err)
	defer func() { check(t, stop()) }()
	_, err = adminOf(t, s).CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, metav1.CreateOptions{})
	check(t, err)
	found, err := outside.client.Get(t.Context(), Prefix+"/core/configmaps/default/c", clientv3.WithCountOnly())
	check(t, err)
	if found.Count != 1 {
		t.Error("not in the external etcd")
	}
}

// A watch that is open does not hold up the end.
func TestStopsWithAnOpenWatch(t *testing.T) {
	s, stop, err := start(Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0"})
	check(t, err)
	w, err := adminOf(t, s).CoreV1().ConfigMaps("").Watch(t.Context(), metav1.ListOptions{})
	check(t, err)
	defer w.Stop()
	began := time.Now()
	check(t, stop())
	took := time.Since(began)
	t.Logf("stopped after %v", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// crashDir, if set, makes the test binary a hub that runs until it is killed.
const crashDir = "ISTHMUS_TEST_CRASH_DIR"

// TestKillLosesNoAcknowledgedWrite kills a hub with SIGKILL while it is written to.
func TestKillLosesNoAcknowledgedWrite(t *testing.T) {
	dir := t.TempDir()
	hub := exec.Command(os.Args[0], "-test.run=^$")
	hub.Env = append(os.Environ(), crashDir+"="+dir)
	hub.Stderr = os.Stderr
	out, err := hub.StdoutPipe()
	check(t, err)
	check(t, hub.Start())
	defer hub.Process.Kill()
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the hub did not start: %v", err)
	}
	acknowledged := writeUntilKilled(t, filepath.Join(dir, "admin.kubeconfig"), hub.Process)
	if len(acknowledged) < 50 {
		t.Fatalf("only %d writes before the end", len(acknowledged))
	}
	hub.Wait() // killed
	s, stop, err := start(Config{DataDir: dir, Listen: "127.0.0.1:0"})
	check(t, err)
	defer func() { check(t, stop()) }()
	list, err := adminOf(t, s).CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	check(t, err)
	stored := map[string]bool{}
	for _, c := range list.Items {
		stored[c.Name] = true
	}
	for _, name := range acknowledged {
		if !stored[name] {
			t.Errorf("%s was acknowledged and is lost", name)
		}
	}
	t.Logf("%d acknowledged, %d stored", len(acknowledged), len(stored))
}

// writeUntilKilled writes with four clients, kills the hub in the midst, and returns what was
// acknowledged.
func writeUntilKilled(t *testing.T, kubeconfig string, hub *os.Process) []string {
	c, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	check(t, err)
	c.QPS = -1
	client := kubernetes.NewForConfigOrDie(c)
	names, writers := make(chan string, 100000), 4
	ended := make(chan struct{}, writers)
	for w := range writers {
		go func() {
			defer func() { ended <- struct{}{} }()
			for i := 0; ; i++ {
				name := fmt.Sprintf("w%d-%d", w, i)
				_, err := client.CoreV1().ConfigMaps("default").Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				if err != nil {
					return
				}
				names <- name
			}
		}()
	}
	eventually(t, "enough writes", func() error {
		if len(names) < 300 {
			return fmt.Errorf("%d", len(names))
		}
		return nil
	})
	check(t, hub.Signal(syscall.SIGKILL))
	for range writers {
		<-ended
	}
	close(names)
	var all []string
	for name := range names {
		all = append(all, name)
	}
	return all
}

// runUntilKilled is the hub of the test above.
func runUntilKilled(dir string) int {
	if _, _, err := start(Config{DataDir: dir, Listen: "127.0.0.1:0"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	select {}
}
