package agent

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

func isSetting(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && p.Code == problem.SettingInvalid.Code
}

func TestParsePort(t *testing.T) {
	for text, want := range map[string]Port{
		"9080=http":       {9080, "http", 0},
		"9080=http:18080": {9080, "http", 18080},
		"443=tls":         {443, "tls", 0},
	} {
		if got, err := ParsePort(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "9080", "=http", "0=http", "65536=http", "9080=https", "9080=http:", "9080=http:x", "9080=http:0", "-1=tcp"} {
		if got, err := ParsePort(bad); !isSetting(err) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestParseUpstream(t *testing.T) {
	if got, err := ParseUpstream("ledger:9100=127.0.0.1:9100"); err != nil || got != (Upstream{"ledger", 9100, "127.0.0.1:9100"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "ledger:9100", "ledger=127.0.0.1:9100", ":9100=127.0.0.1:1", "ledger:9100=9100", "ledger:0=127.0.0.1:1"} {
		if got, err := ParseUpstream(bad); !isSetting(err) {
			t.Errorf("%q: %v, %v", bad, got, err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	good := func() Settings { return Settings{Version: 1, Ports: []Port{{9080, "http", 0}}} }
	s := good()
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Settings){
		"version":   func(s *Settings) { s.Version = 2 },
		"capture":   func(s *Settings) { s.Capture = "magic" },
		"proxy":     func(s *Settings) { s.Capture, s.HTTPProxy = CaptureRedirect, "127.0.0.1:1" },
		"upstreams": func(s *Settings) { s.Capture, s.Upstreams = CaptureRedirect, []Upstream{{"a", 1, "127.0.0.1:1"}} },
		"address":   func(s *Settings) { s.Addresses = []string{"host"} },
		"anywhere":  func(s *Settings) { s.Addresses = []string{"0.0.0.0"} },
		"resolver":  func(s *Settings) { s.Resolvers = []string{"192.0.2.1"} },
		"check":     func(s *Settings) { s.Check = "ftp://x" },
	} {
		s := good()
		spoil(&s)
		if err := s.check(); !isSetting(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSettingsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.json")
	if s, err := loadSettings(path); err != nil || s.Version != settingsVersion {
		t.Errorf("without a file: %+v, %v", s, err)
	}
	want := Settings{
		Version: 1, Host: "h", Ports: []Port{{9080, "http", 18080}}, WorkloadVersion: "v2", Labels: map[string]string{"a": "b"},
		Addresses: []string{"10.0.0.1"}, Capture: "explicit", AppUsers: []string{"app"}, HTTPProxy: "127.0.0.1:15080",
		Upstreams: []Upstream{{"a", 1, "127.0.0.1:1"}}, Check: "tcp", Envoy: "/e", EnvoyUser: "u", DNS: "off",
		Resolvers: []string{"192.0.2.1:53"}, LeaveOnStop: true,
	}
	if err := writeJSON(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := loadSettings(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"{", `{"version": 1, "port": []}`, `{}`, `{"version": 9}`} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := loadSettings(path); !isSetting(err) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestUntilRenewal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name       string
		begun, end time.Duration // before and after now
		want       time.Duration
	}{
		{"fresh", 0, 24 * time.Hour, 12 * time.Hour},
		{"dated back by more than it lives", 5 * time.Minute, 30 * time.Second, 10 * time.Second},
		{"late", 20 * time.Hour, 3 * time.Hour, time.Hour},
		{"over", 24 * time.Hour, -time.Hour, 0},
	} {
		if got := untilRenewal(now.Add(-c.begun), now.Add(c.end), now, 0.5); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	early, late := untilRenewal(now, now.Add(time.Hour), now, 0), untilRenewal(now, now.Add(time.Hour), now, 1)
	if early != 27*time.Minute || late != 33*time.Minute {
		t.Errorf("spread from %v to %v", early, late)
	}
}

func TestLockIsExclusive(t *testing.T) {
	f := folder(t.TempDir())
	release, err := f.lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.lock(); err == nil {
		t.Error("locked twice")
	}
	if err := Forget(string(f)); err == nil {
		t.Error("forgotten while an agent runs")
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = f.lock(); err != nil {
		t.Fatal(err)
	}
	_ = release()
}
