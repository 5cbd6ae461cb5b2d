package tour_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// page is a page of the tour, taken apart.
type page struct {
	machines []string
	clusters []string // machines too
	blocks   []block
}

// block is a fenced block that the runner does something with.
type block struct {
	line                     int // of its fence, for messages
	kind                     string
	on, as, file             string
	background, until, fails bool
	body                     string
	want                     []string // lines of the text block after it
}

var (
	machinesForm = regexp.MustCompile(`(?m)^<!-- machines: (.+) -->$`)
	clustersForm = regexp.MustCompile(`(?m)^<!-- clusters: (.+) -->$`)
)

// parse takes a page apart; what it does not understand is an error, so that no block is passed over.
func parse(text string) (page, error) {
	match := machinesForm.FindStringSubmatch(text)
	if match == nil {
		return page{}, fmt.Errorf("the page does not say its machines: <!-- machines: hub dc1 -->")
	}
	p := page{machines: strings.Fields(match[1])}
	if match := clustersForm.FindStringSubmatch(text); match != nil {
		p.clusters = strings.Fields(match[1])
	}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		info, opens := strings.CutPrefix(lines[i], "```")
		if !opens {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		if end == len(lines) {
			return p, fmt.Errorf("line %d: the block has no end", i+1)
		}
		if err := p.add(i+1, strings.Fields(info), lines[i+1:end]); err != nil {
			return p, fmt.Errorf("line %d: %w", i+1, err)
		}
		i = end
	}
	return p, nil
}

func (p *page) add(line int, info, body []string) error {
	if len(info) == 0 || !slices.Contains([]string{"sh", "text", "yaml"}, info[0]) {
		return nil // only read
	}
	if info[0] == "text" {
		if len(p.blocks) == 0 || p.blocks[len(p.blocks)-1].kind != "sh" {
			return fmt.Errorf("text stands after no typed block")
		}
		p.blocks[len(p.blocks)-1].want = body
		return nil
	}
	b := block{line: line, kind: info[0], on: p.machines[0], body: strings.Join(body, "\n") + "\n"}
	for _, word := range info[1:] {
		if err := b.set(word); err != nil {
			return err
		}
	}
	if !slices.Contains(p.machines, b.on) && !slices.Contains(p.clusters, b.on) {
		return fmt.Errorf("there is no machine %s", b.on)
	}
	if b.kind == "sh" || b.file != "" {
		p.blocks = append(p.blocks, b)
	}
	return nil
}

func (b *block) set(word string) error {
	key, value, _ := strings.Cut(word, "=")
	switch key {
	case "on":
		b.on = value
	case "as":
		b.as = value
	case "file":
		b.file = value
	case "background":
		b.background = true
	case "until":
		b.until = true
	case "fails":
		b.fails = true
	default:
		return fmt.Errorf("%q means nothing", word)
	}
	return nil
}

// exports are the lines of a block that hold for later ones.
func (b block) exports() (lines []string) {
	for line := range strings.Lines(b.body) {
		if strings.HasPrefix(line, "export ") {
			lines = append(lines, line)
		}
	}
	return lines
}

var spaces = regexp.MustCompile(`\s+`)

// matches says whether the wanted lines are in the output, in order; what is missing is the error.
func matches(want []string, output string) error {
	lines := strings.Split(output, "\n")
	for _, line := range want {
		form := lineForm(line)
		at := slices.IndexFunc(lines, func(got string) bool { return form.MatchString(tidy(got)) })
		if at < 0 {
			return fmt.Errorf("this line is not printed, or not there: %s", line)
		}
		lines = lines[at+1:]
	}
	return nil
}

func tidy(line string) string { return spaces.ReplaceAllString(strings.TrimSpace(line), " ") }

func lineForm(line string) *regexp.Regexp {
	parts := strings.Split(tidy(line), "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
}
