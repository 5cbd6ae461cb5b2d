package kubectl

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

func TestKubectlIsUpstreamsAtTheEmbeddedVersion(t *testing.T) {
	var progress strings.Builder
	path, err := Path(t.Context(), &progress)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "version", "--client", "-o", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ClientVersion struct{ GitVersion, Major, Minor string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	want, err := goCommand(t.Context(), "list", "-m", "-f={{.Version}}", sourceModule)
	if v := got.ClientVersion; err != nil || v.GitVersion != want || "v"+v.Major+"."+v.Minor != want[:strings.LastIndex(want, ".")] {
		t.Errorf("kubectl says %+v, want %s (%v)", v, want, err)
	}
}

func TestFailedBuildTellsTheCompilersWords(t *testing.T) {
	_, err := goCommand(t.Context(), "build", "no.such/package")
	if err == nil || !strings.Contains(err.Error(), "go build no.such/package") || !strings.Contains(err.Error(), "no required module") {
		t.Errorf("error %v", err)
	}
}

func TestStoppedBuildSaysWhy(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Path(ctx, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error %v", err)
	}
}
