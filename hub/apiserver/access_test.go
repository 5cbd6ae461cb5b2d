package apiserver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// as is a client with a bearer token, or without one.
func as(token string) kubernetes.Interface {
	c := rest.AnonymousClientConfig(world.admin)
	c.BearerToken = token
	return kubernetes.NewForConfigOrDie(c)
}

// tokens writes the token file: one line for each user, whose token is his name.
func tokens(t *testing.T, lines ...string) {
	t.Helper()
	text := "# SHA256 USER GROUPS\n\n"
	for _, line := range lines {
		text += line + "\n"
	}
	check(t, os.WriteFile(world.files.tokens, []byte(text), 0o600))
	t.Cleanup(func() { os.Remove(world.files.tokens) })
}

func hashed(token string) string {
	h := sha256.Sum256([]byte(token))
	return hex.EncodeToString(h[:])
}

func TestAnonymousMayOnlyLookAtTheHealth(t *testing.T) {
	nobody := as("")
	for _, path := range openPaths {
		if _, err := nobody.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"/apis", "/api/v1/namespaces", "/apis/isthmus.dev/v1alpha1/workspaces", "/openapi/v3", "/metrics", "/debug/pprof/", "/livez/etcd"} {
		if _, err := nobody.Discovery().RESTClient().Get().AbsPath(path).DoRaw(t.Context()); !apierrors.IsUnauthorized(err) {
			t.Errorf("%s: got %v, want unauthorized", path, err)
		}
	}
}

func TestUserMayOnlyAskWhoHeIsAndWhatExists(t *testing.T) {
	tokens(t, hashed("secret-of-ann")+" ann team-a,team-b")
	ann := as("secret-of-ann")
	me, err := ann.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	check(t, err)
	if got := fmt.Sprint(me.Status.UserInfo.Username, me.Status.UserInfo.Groups); got != "ann[team-a team-b system:authenticated]" {
		t.Errorf("who am I: %s", got)
	}
	if _, err := ann.Discovery().ServerGroups(); err != nil {
		t.Errorf("what exists: %v", err)
	}
	may := func(verb, resource string) bool {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Resource: resource}}}
		answer, err := ann.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{})
		check(t, err)
		return answer.Status.Allowed
	}
	if may("get", "secrets") || may("create", "subjectaccessreviews") {
		t.Error("can-i says yes to what is denied")
	}
	_, err = ann.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) || !contains(err.Error(), `User "ann" cannot list resource "secrets"`) || !contains(err.Error(), "ask an administrator") {
		t.Errorf("listing Secrets: %v", err)
	}
	rules, err := ann.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, metav1.CreateOptions{})
	check(t, err)
	if n := len(rules.Status.ResourceRules); n != 1 {
		t.Errorf("%d rules: %+v", n, rules.Status)
	}
}

func TestAdministratorByToken(t *testing.T) {
	tokens(t, hashed("t0p")+" root "+AdminGroup)
	if _, err := as("t0p").CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
}

func TestTokenFileAdmitsNobodyByMistake(t *testing.T) {
	tokens(t,
		"not-a-hash eve "+AdminGroup,
		hashed("lonely"),
		hashed("reserved")+" system:admin",
		hashed("masters")+" eve system:masters",
		hashed("good")+" ann")
	for _, token := range []string{"", "not-a-hash", "lonely", "reserved", "masters", hashed("good")} {
		if _, err := as(token).Discovery().ServerGroups(); !apierrors.IsUnauthorized(err) {
			t.Errorf("token %q: got %v, want unauthorized", token, err)
		}
	}
	if _, err := as("good").Discovery().ServerGroups(); err != nil {
		t.Errorf("a good line among wrong ones: %v", err)
	}
	check(t, os.Remove(world.files.tokens))
	if _, err := as("good").Discovery().ServerGroups(); !apierrors.IsUnauthorized(err) {
		t.Errorf("after the file is gone: %v", err)
	}
}

// A certificate of another authority is nobody's, whatever it says.
func TestForeignClientCertificate(t *testing.T) {
	foreign, err := openPKI(t.TempDir(), world.config.Now)
	check(t, err)
	certificate, key, err := foreign.client("mallory", AdminGroup)
	check(t, err)
	c := rest.AnonymousClientConfig(world.admin)
	c.CertData, c.KeyData = certificate, key
	if _, err := kubernetes.NewForConfigOrDie(c).Discovery().ServerGroups(); !apierrors.IsUnauthorized(err) {
		t.Errorf("got %v, want unauthorized", err)
	}
}

func TestServerCertificateIsForItsHosts(t *testing.T) {
	certificate, err := world.pki.load("server.crt")
	check(t, err)
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := certificate.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestPrivateFiles(t *testing.T) {
	for _, path := range []string{world.Kubeconfig(), world.files.encryption, world.pki.path("ca.key"), world.pki.path("server.key")} {
		info, err := os.Stat(path)
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
	}
	info, err := os.Stat(world.config.DataDir)
	check(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the data directory has mode %o", info.Mode().Perm())
	}
}

func TestPlainHTTPIsNotAnswered(t *testing.T) {
	answer, err := http.Get("http://" + world.Address() + "/livez")
	if err == nil && answer.StatusCode != http.StatusBadRequest {
		t.Errorf("got %s", answer.Status)
	}
}
