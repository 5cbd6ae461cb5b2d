package kube

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// remembered is what is put back and kept over restarts: a refused object that is written again would have no suspects.
// All are messages of the feed.
type remembered struct {
	Refused []refused
	Kept    [][]byte
}

// refused is a conviction; there may be nothing instead.
type refused struct{ Rejection, Instead []byte }

// remember keeps what is put back, and why, if that is something else than before. Caller holds mu.
func (c *Cluster) remember() {
	if c.config.RefusedFile == "" || !c.contained.unsaved {
		return
	}
	if err := c.saveRefused(); err != nil {
		c.config.Log.Warn("what proxies refuse would be forgotten in a restart", "err", err)
		return
	}
	c.contained.unsaved = false
}

func (c *Cluster) saveRefused() error {
	var all remembered
	var err error
	pack := func(m proto.Message) []byte {
		text, err1 := proto.Marshal(m)
		err = errors.Join(err, err1)
		return text
	}
	for _, r := range c.refusals.list() {
		switch h := c.contained.held[r.Resource]; {
		case h == nil:
		case h.instead == nil:
			all.Refused = append(all.Refused, refused{Rejection: pack(r)})
		default:
			all.Refused = append(all.Refused, refused{pack(r), pack(h.instead.Resource)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.contained.kept)) {
		all.Kept = append(all.Kept, pack(c.contained.kept[name].Resource))
	}
	text, err1 := json.Marshal(all)
	if err = errors.Join(err, err1); err != nil {
		return err
	}
	return durable.WriteFile(c.config.RefusedFile, text)
}

// recall puts back again what proxies refused before a restart, as far as it is still wanted. Caller holds mu.
func (c *Cluster) recall() {
	if c.config.RefusedFile == "" {
		return
	}
	text, err := os.ReadFile(c.config.RefusedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var all remembered
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	for _, one := range all.Refused {
		err = errors.Join(err, c.recallOne(one))
	}
	for _, one := range all.Kept {
		was := &feedpb.Resource{}
		if err1 := proto.Unmarshal(one, was); err1 != nil {
			err = errors.Join(err, err1)
		} else {
			c.contained.keep(was.Name, newWanted(was, c.config.Zone))
		}
	}
	if c.Leading() {
		c.refusals.retell()
	}
	if err != nil {
		c.config.Log.Warn("what proxies refused before the restart is forgotten", "err", err)
	}
}

func (c *Cluster) recallOne(one refused) error {
	rejection, instead := &feedpb.Rejection{}, &feedpb.Resource{}
	if err := errors.Join(proto.Unmarshal(one.Rejection, rejection), proto.Unmarshal(one.Instead, instead)); err != nil {
		return err
	}
	switch w := c.wanted[rejection.Resource]; {
	case w == nil && instead.Version != rejection.Version, w != nil && w.Version != rejection.Version:
		return nil // another change than the one that was refused
	case w != nil && w.Version == instead.Version:
		return nil // its removal was, and is taken back
	}
	h := &hold{}
	if instead.Name != "" {
		h.instead = newWanted(instead, c.config.Zone)
	}
	c.contained.held[rejection.Resource] = h
	c.refusals.know(rejection)
	return nil
}
