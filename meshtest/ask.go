package meshtest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What curl writes after each answer: the status, the seconds it took and what went wrong, between characters
// that no answer has.
const (
	askEnd  = "\x1e"
	askNext = "\x1d"
	askForm = askEnd + "%{http_code} %{time_total} %{errormsg}" + askNext
)

// Ask has an application of the machine send n requests, one after the other over connections that are kept,
// and counts the answers. The machine's capture and names lead to the service that the URL names, so nothing
// else is between the two but their proxies. Flags are those of curl.
func (m *Machine) Ask(n int, url string, flags ...string) *Tally {
	m.w.t.Helper()
	const each = 15 * time.Second
	ctx, cancel := context.WithTimeout(m.w.t.Context(), time.Duration(n)*each)
	defer cancel()
	argv := append([]string{"curl", "--silent", "--max-time", "10", "--write-out", askForm}, flags...)
	out, err := m.RunAsApp(ctx, append(argv, fmt.Sprintf("%s#[1-%d]", url, n))...) // what follows # is not sent
	tally, answers := newTally(), strings.Split(out, askNext)
	for _, text := range answers[:len(answers)-1] {
		tally.sent()
		tally.read(text)
	}
	if tally.Sent() != n { // else curl's exit code is only that of the last one
		m.w.t.Fatalf("%d of %d requests were sent: %v", tally.Sent(), n, err)
	}
	return tally
}

// read counts an answer as [Machine.Ask] has curl write it.
func (c *Tally) read(text string) {
	body, rest, _ := strings.Cut(text, askEnd)
	words := strings.SplitN(rest, " ", 3)
	if len(words) != 3 {
		c.lost(fmt.Errorf("curl wrote %q", rest))
		return
	}
	status, err := strconv.Atoi(words[0])
	seconds, wrong := strconv.ParseFloat(words[1], 64)
	if err != nil || wrong != nil || status == 0 {
		c.lost(fmt.Errorf("%s", words[2]))
		return
	}
	answer := new(Answer)
	if json.Unmarshal([]byte(body), answer) != nil {
		answer = &Answer{Error: body} // a proxy's words
	}
	c.answered(status, answer, time.Duration(seconds*float64(time.Second)))
}
