package meshtest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimelineTellsWhoAnsweredWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock goes by as nobody waits
		tally := newTally()
		for _, version := range []string{"v1", "v1", "v2"} {
			tally.answered(200, &Answer{Service: "web", Version: "x", Calls: map[string]*Answer{"reviews": {Service: "reviews", Version: version}}}, 0)
		}
		time.Sleep(2 * time.Second)
		tally.Note("v1 killed")
		tally.Note("and missed")
		tally.lost(errors.New("reset"))
		tally.answered(503, &Answer{}, 0)
		time.Sleep(time.Second)
		tally.answered(200, &Answer{Service: "reviews", Version: "v2"}, 0)
		const want = `second  v1  v2  lost
0       2   1   0
1       0   0   0
2       0   0   2  v1 killed; and missed
3       0   1   0
`
		if got := tally.Timeline("reviews"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}
