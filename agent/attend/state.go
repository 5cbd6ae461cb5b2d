package attend

import (
	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// state is what an edge should know.
type state struct {
	workload *machinepb.Workload
	health   *machinepb.Health
	leaving  bool
	moved    <-chan struct{}
}

func (l *Link) state() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	return state{l.workload, l.health, l.leaving, l.moved}
}

func (s state) introduction() *machinepb.AttendRequest {
	return &machinepb.AttendRequest{Workload: s.workload, Health: s.health}
}

// since is the message for an edge that knows old; nil when it knows all.
func (s state) since(old state) *machinepb.AttendRequest {
	news := &machinepb.AttendRequest{Leave: s.leaving && !old.leaving}
	if !proto.Equal(s.health, old.health) {
		news.Health = s.health
	}
	if news.Health == nil && !news.Leave {
		return nil
	}
	return news
}
