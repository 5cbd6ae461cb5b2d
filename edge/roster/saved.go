package roster

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// saved is a row on disk, by the workload's name.
type saved struct {
	Workspace string `json:"workspace"`
	Service   string `json:"service"`
	Role      string `json:"role"`
	// Healthy and Reason are what the agent said; absent when it said nothing.
	Healthy *bool  `json:"healthy,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Lost means that neither agent nor proxy could be reached.
	Lost         bool            `json:"lost,omitempty"`
	Registration json.RawMessage `json:"registration"`
}

func (e *entry) encode() ([]byte, error) {
	w := e.workload
	registration, err := protojson.Marshal(w.Registration)
	if err != nil {
		return nil, err
	}
	s := saved{Workspace: w.Workspace, Service: w.Service, Role: w.Role, Lost: !e.lost.IsZero(), Registration: registration}
	if e.health != nil {
		s.Healthy, s.Reason = &e.health.Healthy, e.health.Reason
	}
	return json.Marshal(s)
}

// decode reads a row; a lost workload is lost since now.
func decode(name string, raw []byte, now time.Time) (*entry, error) {
	var s saved
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, fmt.Errorf("workload %s: %w", name, err)
	}
	registration := &machinepb.Workload{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(s.Registration, registration); err != nil {
		return nil, fmt.Errorf("workload %s: %w", name, err)
	}
	e := &entry{workload: &Workload{Name: name, Workspace: s.Workspace, Service: s.Service}, role: s.Role}
	if s.Healthy != nil {
		e.health = &machinepb.Health{Healthy: *s.Healthy, Reason: s.Reason}
	}
	if s.Lost {
		e.lost = now
	}
	e.refresh(registration)
	return e, nil
}
