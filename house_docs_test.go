package isthmus_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/isthmus-mesh/isthmus/api/problem"
)

var (
	codeForm   = regexp.MustCompile(`^ISM[1-5][0-9]{3}$`)
	reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)
)

func TestProblemsAreWellFormed(t *testing.T) {
	codes, reasons := map[string]bool{}, map[string]bool{}
	for _, p := range problem.Catalogue {
		if !codeForm.MatchString(p.Code) || codes[p.Code] {
			t.Errorf("%s: the code must be ISM and four digits, and its own", p.Code)
		}
		if !reasonForm.MatchString(p.Reason) || reasons[p.Reason] {
			t.Errorf("%s: the reason %q must be CamelCase, and its own", p.Code, p.Reason)
		}
		if !strings.HasSuffix(p.Meaning, ".") || p.Remedy == "" || strings.HasSuffix(p.Remedy, ".") {
			t.Errorf("%s: the meaning is a sentence with its full stop, the remedy one without: Message adds it", p.Code)
		}
		codes[p.Code], reasons[p.Reason] = true, true
	}
}

// A problem that is declared but not in the catalogue would be missing in the documentation.
func TestCatalogueIsComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "api/problem/catalogue.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.CompositeLit); ok {
			if name, ok := literal.Type.(*ast.Ident); ok && name.Name == "Problem" {
				declared++
			}
		}
		return true
	})
	if declared != len(problem.Catalogue) {
		t.Errorf("%d problems are declared and %d are in the Catalogue", declared, len(problem.Catalogue))
	}
}

// generated compares a file with what it should be, or writes it.
func generated(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, _ := os.ReadFile(path) // what is missing differs
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is out of date; run \"make generate\" (-want +got):\n%s", path, diff)
	}
}

func TestErrorsPage(t *testing.T) {
	chapters := map[byte]string{
		'1': "Intent: what somebody wrote down", '2': "Joining: tokens, certificates and identities",
		'3': "The hub", '4': "The edge", '5': "The agent",
	}
	var page strings.Builder
	page.WriteString("# What the error codes mean\n\nMade from `api/problem/catalogue.go` by `make generate`. A code is never given a new meaning.\n")
	var chapter byte
	for _, p := range problem.Catalogue {
		if p.Code[3] != chapter {
			chapter = p.Code[3]
			fmt.Fprintf(&page, "\n## %s\n\n| code | reason | meaning | what to do |\n|---|---|---|---|\n", chapters[chapter])
		}
		fmt.Fprintf(&page, "| <a id=%q></a>%s | `%s` | %s | %s. |\n", strings.ToLower(p.Code), p.Code, p.Reason, p.Meaning, p.Remedy)
	}
	generated(t, "docs/errors.md", page.String())
}

var (
	makeCommand = regexp.MustCompile("(?m)(?:^|`)make ([a-z-]+)")
	makeTarget  = regexp.MustCompile(`(?m)^([a-z-]+):.*## `)
	link        = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
)

// Every "make x" in the documentation is a target, and every target explains itself.
func TestMakeCommandsExist(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	targets := map[string]bool{}
	for _, match := range makeTarget.FindAllSubmatch(makefile, -1) {
		targets[string(match[1])] = true
	}
	phony := strings.Fields(regexp.MustCompile(`(?m)^\.PHONY: (.*)$`).FindStringSubmatch(string(makefile))[1])
	for _, name := range phony {
		if !targets[name] {
			t.Errorf("Makefile: %s does not explain itself with ##", name)
		}
	}
	files(t, func(path string, data []byte) {
		for _, match := range makeCommand.FindAllSubmatch(data, -1) {
			if !targets[string(match[1])] {
				t.Errorf("%s: there is no %q", path, strings.Trim(string(match[0]), "`"))
			}
		}
	}, ".md")
}

func TestLinksLeadSomewhere(t *testing.T) {
	files(t, func(path string, data []byte) {
		for _, match := range link.FindAllSubmatch(data, -1) {
			target := string(match[1])
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", path, target)
			}
		}
	}, ".md")
}

var architectureRow = regexp.MustCompile("(?m)^\\| (`.*?) \\|")

// The page of architecture names every package, and only packages; a row for a folder stands for
// all below it.
func TestArchitecturePageNamesEveryPackage(t *testing.T) {
	page, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, row := range architectureRow.FindAllStringSubmatch(string(page), -1) {
		for _, quoted := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			named = append(named, quoted[1])
			if info, err := os.Stat(quoted[1]); err != nil || !info.IsDir() {
				t.Errorf("docs/architecture.md names %s, which is no package", quoted[1])
			}
		}
	}
	for _, p := range packages(t) {
		if !under(p.ImportPath, named) {
			t.Errorf("docs/architecture.md does not say what %s is", p.ImportPath)
		}
	}
}

var recordForm = regexp.MustCompile(`(?s)^# \d+\. .*\n20\d\d-\d\d-\d\d, .*\n## Context\n.*\n## Decision\n.*\n## Consequences\n`)

// Decisions are numbered without gaps, and dated.
func TestDecisionsAreRecords(t *testing.T) {
	records, err := filepath.Glob("docs/adr/*.md")
	if err != nil || len(records) == 0 {
		t.Fatalf("no records: %v", err)
	}
	for i, path := range records {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(filepath.Base(path), want) {
			t.Errorf("%s: its number should be %s", path, want)
		}
		if !recordForm.Match(data) {
			t.Errorf("%s lacks a heading, a date with a status, or one of Context, Decision and Consequences", path)
		}
	}
}
