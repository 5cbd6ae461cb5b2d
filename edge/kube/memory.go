package kube

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// refused is a conviction as it is kept over restarts: a refused object that is written again would have no suspects.
// Both are messages of the feed; there may be nothing instead.
type refused struct{ Rejection, Instead []byte }

// remember keeps what is put back, and why. Caller holds mu.
func (c *Cluster) remember() {
	if c.config.RefusedFile == "" {
		return
	}
	if err := c.saveRefused(); err != nil {
		c.config.Log.Warn("what proxies refuse would be forgotten in a restart", "err", err)
	}
}

func (c *Cluster) saveRefused() error {
	all := []refused{}
	for _, r := range c.refusals.list() {
		one, h := refused{}, c.contained.held[r.Resource]
		if h == nil {
			continue
		}
		var err error
		if one.Rejection, err = proto.Marshal(r); err != nil {
			return err
		}
		if h.instead != nil {
			if one.Instead, err = proto.Marshal(h.instead.Resource); err != nil {
				return err
			}
		}
		all = append(all, one)
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	fresh := c.config.RefusedFile + ".new"
	if err := os.WriteFile(fresh, text, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, c.config.RefusedFile)
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
	var all []refused
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	for _, one := range all {
		err = errors.Join(err, c.recallOne(one))
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
	if w := c.wanted[rejection.Resource]; w == nil || w.Version != rejection.Version {
		return nil
	}
	h := &hold{}
	if instead.Name != "" {
		h.instead = newWanted(instead, c.config.Zone)
	}
	c.contained.held[rejection.Resource] = h
	c.refusals.tellOf(rejection)
	return nil
}
