package relay

import (
	"context"
	"time"
)

// retryDelay is the pause after a file could not be written.
const retryDelay = 5 * time.Second

// touch says that the holdings changed.
func (r *Relay) touch() {
	select {
	case r.dirty <- struct{}{}:
	default:
	}
}

// Run saves the holdings when they change, until ctx ends and once more then.
func (r *Relay) Run(ctx context.Context) error {
	delay := r.config.SaveDelay
	for {
		select {
		case <-r.dirty:
		case <-ctx.Done():
			return r.flush()
		}
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
		delay = r.config.SaveDelay
		if err := r.save(); err != nil {
			r.config.Log.Error("the accepted configuration cannot be saved", "err", err)
			delay = max(delay, retryDelay)
			r.touch()
		}
	}
}

// flush saves what is not saved yet.
func (r *Relay) flush() error {
	select {
	case <-r.dirty:
		return r.save()
	default:
		return nil
	}
}

func (r *Relay) save() error {
	r.mu.Lock()
	pages := r.x.holdings.pages()
	r.mu.Unlock()
	file, err := encode(pages)
	if err == nil {
		err = r.config.Save(file)
	}
	r.config.Saves(err)
	return err
}
