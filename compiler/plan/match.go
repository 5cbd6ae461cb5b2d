package plan

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// AddHeader adds a header to compare. Names are compared without case; of several of one name the
// first counts, as the Gateway API has it.
func (m *Match) AddHeader(name, value string, regex bool) {
	m.Headers = addValue(m.Headers, ValueMatch{Name: strings.ToLower(name), Value: value, Regex: regex})
}

// AddQuery adds a query parameter to compare; of several of one name the first counts.
func (m *Match) AddQuery(name, value string, regex bool) {
	m.Query = addValue(m.Query, ValueMatch{Name: name, Value: value, Regex: regex})
}

func addValue(values []ValueMatch, value ValueMatch) []ValueMatch {
	for _, other := range values {
		if other.Name == value.Name {
			return values
		}
	}
	return append(values, value)
}

// Check returns an error if the match cannot be, because a regular expression is none.
func (m *Match) Check() error {
	if m.Path != nil && m.Path.Kind == PathRegex {
		if err := checkRegex("path", m.Path.Value); err != nil {
			return err
		}
	}
	for _, value := range m.Headers {
		if err := value.check("header"); err != nil {
			return err
		}
	}
	for _, value := range m.Query {
		if err := value.check("query parameter"); err != nil {
			return err
		}
	}
	return nil
}

func (v ValueMatch) check(what string) error {
	if !v.Regex {
		return nil
	}
	return checkRegex(what+" "+v.Name, v.Value)
}

func checkRegex(what, pattern string) error {
	if pattern == "" {
		return fmt.Errorf("%s: empty regular expression", what)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Compare orders matches by the precedence of the Gateway API, the more specific one first: exact
// paths, regular expressions, prefixes; longer ones first; then with a method; then by the number of
// headers and of query parameters. 0 leaves the order to the age of the routes.
func (m *Match) Compare(other *Match) int {
	kind, length := m.Path.rank()
	otherKind, otherLength := other.Path.rank()
	return -cmp.Or(
		cmp.Compare(kind, otherKind),
		cmp.Compare(length, otherLength),
		cmp.Compare(len(m.Method), 0)-cmp.Compare(len(other.Method), 0),
		cmp.Compare(len(m.Headers), len(other.Headers)),
		cmp.Compare(len(m.Query), len(other.Query)),
	)
}

func (p *PathMatch) rank() (PathKind, int) {
	if p == nil {
		return PathPrefix, 0
	}
	return p.Kind, len(p.Value)
}

// String says what is matched; equal matches are equal strings.
func (m *Match) String() string {
	var parts []string
	if m.Method != "" {
		parts = append(parts, m.Method)
	}
	if m.Path != nil {
		parts = append(parts, "path "+m.Path.String())
	}
	parts = append(parts, valueTexts("header", m.Headers)...)
	parts = append(parts, valueTexts("query", m.Query)...)
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, ", ")
}

// String is the path with an operator: "=" exact, "~" regular expression, "/…" prefix.
func (p *PathMatch) String() string {
	switch p.Kind {
	case PathExact:
		return "= " + p.Value
	case PathRegex:
		return "~ " + p.Value
	}
	return strings.TrimRight(p.Value, "/") + "/…"
}

func valueTexts(what string, values []ValueMatch) []string {
	texts := make([]string, 0, len(values))
	for _, v := range values {
		operator := "="
		if v.Regex {
			operator = "~"
		}
		texts = append(texts, what+" "+v.Name+" "+operator+" "+v.Value)
	}
	slices.Sort(texts)
	return texts
}
