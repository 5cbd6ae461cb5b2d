package kubectl

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/tools/gobuild"
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
	want, err := gobuild.Go(t.Context(), "list", "-m", "-f={{.Version}}", sourceModule)
	if v := got.ClientVersion; err != nil || v.GitVersion != want || "v"+v.Major+"."+v.Minor != want[:strings.LastIndex(want, ".")] {
		t.Errorf("kubectl says %+v, want %s (%v)", v, want, err)
	}
}
