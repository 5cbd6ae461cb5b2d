package stories_test

// balance counts who answers: all in turn, or rather those that have little to do.
func balance(w world) {
	w.apply(everywhere, "httproute/reviews")
	w.apply(policy("reviews", "  loadBalancing: {policy: RoundRobin}"), "trafficpolicy/reviews")
	w.nothingWarms("web1")
	const sent, turn = 30, 10
	tally := w.web().Ask(sent, "http://reviews:9080/") // over one connection, so that one worker of Envoy counts
	tally.MustLoseNothing(w)
	for _, host := range hosts {
		if got := tally.ByHost("reviews", host); got < turn-1 || got > turn+1 {
			w.Errorf("in turn each should answer %d: %s", turn, tally)
		}
	}

	w.Turn("rv2", "delay=1s")
	defer w.Turn("rv2", "")
	const some, few = 15, 10 // of 60, of which a third is 20
	if got := w.slowOnes(); got < some {
		w.Errorf("in turn a slow machine should get a third of 60 requests, and got %d", got)
	}
	w.apply(policy("reviews", "  loadBalancing: {policy: LeastRequest}"), "trafficpolicy/reviews")
	w.nothingWarms("web1")
	if got := w.slowOnes(); got > few {
		w.Errorf("a slow machine should get few of 60 requests, and got %d", got)
	}
}

// slowOnes sends sixty requests, of which some are always under way, and counts those that rv2 receives.
func (w world) slowOnes() int {
	w.Helper()
	before := w.Requests("rv2")
	w.web().Ask(60, "http://reviews:9080/", "--parallel", "--parallel-max", "6").MustLoseNothing(w)
	return w.Requests("rv2") - before
}
