package hubinfo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isthmus-mesh/isthmus/api/hubinfo"
)

func TestRoundTrip(t *testing.T) {
	want := hubinfo.Info{FeedAddresses: []string{"hub-1:7444", "[2001:db8::1]:7444"}, Root: "PEM", TrustDomain: "isthmus.local"}
	got, err := hubinfo.Parse(want.Data())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("Parse(Data()) (-want +got):\n%s", d)
	}
}

func TestParseNamesTheMissingKey(t *testing.T) {
	for _, key := range []string{hubinfo.FeedAddresses, hubinfo.Root, hubinfo.TrustDomain} {
		data := hubinfo.Info{FeedAddresses: []string{"hub:1"}, Root: "PEM", TrustDomain: "d"}.Data()
		data[key] = " "
		if _, err := hubinfo.Parse(data); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Parse without %s: %v, want an error that names it", key, err)
		}
	}
}
