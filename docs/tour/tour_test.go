// Package tour_test types along with the pages of the tour; README.md says how a page is written.
package tour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/meshtest"
	"github.com/isthmus-mesh/isthmus/meshtest/kube"
)

func TestPages(t *testing.T) {
	pages, err := filepath.Glob("[0-9]*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pages {
		t.Run(path, func(t *testing.T) { play(t, path) })
	}
}

// A page of the runner's own: every kind of block, without a mesh.
func TestRunnerDoesWhatItsPageSays(t *testing.T) { play(t, "testdata/kinds.md") }

// player types the blocks of a page.
type player struct {
	*testing.T
	machines map[string]*meshtest.Machine
	prelude  map[string]string // by machine: what earlier blocks exported
	copied   []string          // what "as" keeps, as exports
}

func play(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	page, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	w := meshtest.New(t)
	p := player{T: t, machines: map[string]*meshtest.Machine{}, prelude: map[string]string{}}
	for _, name := range page.machines {
		p.machines[name] = w.Machine(name)
	}
	for _, name := range page.clusters {
		cluster := kube.NewZone(w, name, kube.Istio{})
		p.machines[name] = cluster.Machine
		p.prelude[name] = "export KUBECONFIG=" + cluster.Kubeconfig + "\n"
	}
	for _, b := range page.blocks {
		if err := p.play(b); err != nil {
			t.Fatalf("%s:%d: on %s\n%s%v", path, b.line, b.on, b.body, err)
		}
	}
}

func (p *player) play(b block) error {
	m := p.machines[b.on]
	switch {
	case b.kind != "sh":
		m.WriteFile(b.file, b.body)
		return nil
	case b.background:
		script := p.script(b) + "exec " + b.body
		m.Start(fmt.Sprintf("line-%d", b.line), func() []string { return []string{"bash", "-c", script} })
		return nil
	case b.until:
		meshtest.Eventually(p, fmt.Sprintf("line %d", b.line), func() error { return p.once(m, b) })
		return nil
	}
	return p.once(m, b)
}

// script is what is typed before a block.
func (p *player) script(b block) string {
	script := "set -eo pipefail\n" + strings.Join(p.copied, "") + p.prelude[b.on]
	if b.as == "" {
		script += "exec 2>&1\n" // a reader sees both outputs
	}
	return script
}

func (p *player) once(m *meshtest.Machine, b block) error {
	ctx, cancel := context.WithTimeout(p.Context(), meshtest.Patience)
	defer cancel()
	out, err := m.Run(ctx, "", "bash", "-c", p.script(b)+b.body)
	switch {
	case b.fails && err == nil:
		return errors.New("it succeeded and should fail:\n" + out)
	case !b.fails && err != nil:
		return err
	}
	if err := matches(b.want, out); err != nil {
		return fmt.Errorf("%w\nprinted:\n%s", err, out)
	}
	p.prelude[b.on] += strings.Join(b.exports(), "")
	if b.as != "" {
		p.copied = append(p.copied, "export "+b.as+"="+quote(strings.TrimSpace(out))+"\n")
	}
	return nil
}

// quote makes one word of a text, for a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func TestBadPagesAreRefused(t *testing.T) {
	const head = "<!-- machines: hub -->\n"
	for text, want := range map[string]string{
		"# no machines":                    "does not say its machines",
		head + "```sh\nls\n":               "line 2: the block has no end",
		head + "```sh on=moon\nls\n```":    "there is no machine moon",
		head + "```sh quickly\nls\n```":    `"quickly" means nothing`,
		head + "```text\nwhat\n```":        "text stands after no typed block",
		head + "```yaml on=mars\n```\n":    "there is no machine mars",
		head + "```yaml file=a wat\n```\n": `"wat" means nothing`,
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestExpectedOutput(t *testing.T) {
	const output = "NAME    AGE\nshop    3s\n\nend 17"
	for want, ok := range map[string]bool{
		"NAME AGE\nshop …": true, "shop   3s\nend …": true, "end 1": false, "shop …\nNAME AGE": false, "…": true, "s.op 3s": false,
	} {
		if err := matches(strings.Split(want, "\n"), output); (err == nil) != ok {
			t.Errorf("%q: %v, want ok = %v", want, err, ok)
		}
	}
}
