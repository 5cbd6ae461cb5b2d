package relay

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/isthmus-mesh/isthmus/machine/xds"
)

var update = flag.Bool("update", false, "rewrite the scripts' output")

// The scripts in testdata are conversations: lines that begin with "> " are said to the exchange, the
// others are what it says.
//
//	> envoy open | envoy close | edge open | edge close
//	> envoy ask TYPE [+NAME…] [-NAME…] [NAME=VERSION…]     a subscription, and what Envoy has
//	> envoy ack NONCE | envoy nack NONCE TEXT…
//	> edge send TYPE NONCE [NAME=VERSION…] [-NAME…]
//	> seal | holds | reload
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := newConversation(t).play(string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("got:\n%s\nwant:\n%s", got, text)
			}
		})
	}
}

type conversation struct {
	*testing.T
	x     exchange
	envoy *envoyLine
	edge  *edgeLine
	types map[string]string // of nonces
	out   strings.Builder
}

func newConversation(t *testing.T) *conversation {
	c := &conversation{T: t, types: map[string]string{}}
	c.x = exchange{
		holdings: newHoldings(), nodeID: "node", flights: map[string]flight{},
		names:   func(table map[string][]netip.Addr) { c.say("names %v", slices.Sorted(maps.Keys(table))) },
		verdict: func(string, string) {},
	}
	return c
}

func (c *conversation) say(format string, args ...any) {
	fmt.Fprintf(&c.out, "  "+format+"\n", args...)
}

func (c *conversation) play(script string) string {
	for line := range strings.Lines(script) {
		command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "> ")
		switch {
		case ok:
			fmt.Fprintf(&c.out, "> %s\n", command)
			c.do(strings.Fields(command))
			c.flush()
		case strings.HasPrefix(line, "#"), line == "\n":
			c.out.WriteString(line)
		}
	}
	return c.out.String()
}

func (c *conversation) do(words []string) {
	switch strings.Join(words[:min(2, len(words))], " ") {
	case "envoy open":
		c.envoy = newMailbox[*xds.DeltaResponse]()
		c.x.envoyOpened(c.envoy)
	case "envoy close":
		c.x.envoyOpened(nil)
	case "edge open":
		c.edge = newMailbox[*xds.DeltaRequest]()
		c.x.edgeOpened(c.edge, func() { c.say("restart the stream to the edge") })
	case "edge close":
		c.x.edge = nil
	case "envoy ask":
		c.ask(words[2], words[3:])
	case "envoy ack":
		c.x.fromEnvoy(&xds.DeltaRequest{TypeURL: c.types[words[2]], Nonce: words[2]})
	case "envoy nack":
		c.x.fromEnvoy(&xds.DeltaRequest{TypeURL: c.types[words[2]], Nonce: words[2], Rejection: &xds.Rejection{Text: strings.Join(words[3:], " ")}})
	case "edge send":
		c.send(words[2], words[3], words[4:])
	case "seal":
		c.x.holdings.sealed = true
	case "holds":
		for _, page := range c.x.holdings.pages() {
			c.say("%s %s", page.TypeURL, list(page.Resources, nil))
		}
	case "reload":
		c.reload()
	default:
		c.Fatalf("unknown command %q", words)
	}
}

func (c *conversation) ask(typeURL string, words []string) {
	req := &xds.DeltaRequest{TypeURL: typeURL, Versions: map[string]string{}}
	for _, word := range words {
		name, version, has := strings.Cut(word, "=")
		switch {
		case has:
			req.Versions[name] = version
		case word[0] == '+':
			req.Subscribe = append(req.Subscribe, word[1:])
		default:
			req.Unsubscribe = append(req.Unsubscribe, word[1:])
		}
	}
	c.x.fromEnvoy(req)
}

func (c *conversation) send(typeURL, nonce string, words []string) {
	response := &xds.DeltaResponse{TypeURL: typeURL, Nonce: nonce}
	if typeURL == "NDS" {
		response.TypeURL = nameTableType
	}
	for _, word := range words {
		if name, version, ok := strings.Cut(word, "="); ok {
			body := xds.Any{TypeURL: typeURL, Value: []byte(version)}
			if typeURL == "NDS" {
				body.Value = nameTableOf(version)
			}
			response.Resources = append(response.Resources, xds.NewResource(name, version, body))
		} else {
			response.Removed = append(response.Removed, word[1:])
		}
	}
	c.x.fromEdge(c.edge, response, func() { c.say("landed %s", nonce) })
}

// nameTableOf is a table of one host with an address, or nonsense.
func nameTableOf(host string) []byte {
	if host == "broken" {
		return []byte{0xff}
	}
	info := xds.AppendBytes(nil, 1, []byte("240.0.0.1"))
	return xds.AppendBytes(nil, 1, xds.AppendBytes(xds.AppendBytes(nil, 1, []byte(host)), 2, info))
}

// reload goes through the file, as a restarted agent does.
func (c *conversation) reload() {
	file, err := encode(c.x.holdings.pages())
	if err != nil {
		c.Fatal(err)
	}
	if c.x.holdings, err = decode(file); err != nil {
		c.Fatal(err)
	}
}

// flush tells what is in the mailboxes.
func (c *conversation) flush() {
	if c.envoy != nil {
		for _, r := range c.envoy.items {
			c.types[r.Nonce] = r.TypeURL
			c.say("to envoy, nonce %s: %s %s", r.Nonce, short(r.TypeURL), list(r.Resources, r.Removed))
		}
		c.envoy.items = nil
	}
	if c.edge != nil {
		for _, r := range c.edge.items {
			c.say("to edge: %s", describe(r))
		}
		c.edge.items = nil
	}
}

func short(typeURL string) string {
	if typeURL == nameTableType {
		return "NDS"
	}
	return typeURL
}

func describe(r *xds.DeltaRequest) string {
	words := []string{short(r.TypeURL)}
	if r.NodeID != "" {
		words = append(words, "as "+r.NodeID)
	}
	if r.Nonce != "" && r.Rejection == nil {
		words = append(words, "ack "+r.Nonce)
	}
	if r.Rejection != nil {
		words = append(words, "nack "+r.Nonce+" "+r.Rejection.Text)
	}
	for _, name := range r.Subscribe {
		words = append(words, "+"+name)
	}
	for _, name := range r.Unsubscribe {
		words = append(words, "-"+name)
	}
	for _, name := range sorted(r.Versions) {
		words = append(words, name+"="+r.Versions[name])
	}
	return strings.Join(words, " ")
}

func list(resources []*xds.Resource, removed []string) string {
	var words []string
	for _, r := range resources {
		words = append(words, r.Name()+"="+r.Version())
	}
	for _, name := range removed {
		words = append(words, "-"+name)
	}
	if len(words) == 0 {
		return "(nothing)"
	}
	return strings.Join(words, " ")
}

func TestDamagedFilesAreRefused(t *testing.T) {
	h := newHoldings()
	h.accept("CDS", []*xds.Resource{xds.NewResource("a", "1", xds.Any{TypeURL: "CDS", Value: []byte("content")})}, nil, func(string) bool { return true })
	file, err := encode(h.pages())
	if err != nil {
		t.Fatal(err)
	}
	if back, err := decode(file); err != nil || len(back.types["CDS"]) != 1 {
		t.Fatalf("%v, %v", back, err)
	}
	for i := range file {
		damaged := slices.Clone(file)
		damaged[i] ^= 1
		if _, err := decode(damaged); err == nil {
			t.Errorf("byte %d is changed and nobody notices", i)
		}
		if _, err := decode(file[:i]); err == nil {
			t.Errorf("the file ends at %d and nobody notices", i)
		}
	}
	r, err := New(Config{Saved: file[:len(file)-1], Names: func(map[string][]netip.Addr) {}})
	if !errors.Is(err, ErrDamaged) || r == nil || len(r.Holds()) != 0 {
		t.Fatalf("%v, %v", r, err)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte{0x0a, 2, 0x22, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		if h, err := decodePages(body); err == nil {
			file, err := encode(h.pages())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decode(file); err != nil {
				t.Fatalf("what was read cannot be read again: %v", err)
			}
		}
	})
}

func FuzzNameTable(f *testing.F) {
	f.Add(nameTableOf("reviews.shop.mesh"))
	f.Fuzz(func(t *testing.T, message []byte) {
		table, err := decodeNameTable(message)
		for host := range table {
			if host == "" && err == nil {
				t.Error("a host without a name")
			}
		}
	})
}
