package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Pauses after a renewal failed.
const (
	renewPause     = time.Second
	renewLongPause = time.Minute
	renewTime      = 15 * time.Second
)

// untilRenewal is how long to wait before a certificate is renewed: to half its life, give or take a
// twentieth, so that machines that joined together do not renew together; but not less than a third of
// what is left of it, since an authority may date certificates back by more than they live.
func untilRenewal(begins, ends, now time.Time, random float64) time.Duration {
	half := begins.Add(time.Duration((0.45 + 0.1*random) * float64(ends.Sub(begins))))
	return max(half.Sub(now), ends.Sub(now)/3, 0)
}

// renewLoop keeps the certificate fresh, for ever.
func (a *agent) renewLoop(ctx context.Context) error {
	for pause := renewPause; ; {
		leaf := a.holder.Certificate().Leaf
		wait := untilRenewal(leaf.NotBefore, leaf.NotAfter, a.config.Now(), rand.Float64())
		if pause > renewPause {
			wait = max(wait, pause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := a.renew(ctx); err != nil {
			pause = min(2*pause, renewLongPause)
			a.config.Log.Warn("the certificate cannot be renewed", "err", err)
			a.board.Set("renewal", problem.RenewalFailing, fmt.Sprintf("It ends %s. %v", leaf.NotAfter.UTC().Format(time.RFC3339), plain(err)))
			continue
		}
		pause = renewPause
		a.board.Clear("renewal")
	}
}

// renew gets a new certificate for a new key and puts it to use. Established connections stay.
func (a *agent) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	key, err := identity.NewKey()
	if err != nil {
		return err
	}
	text, err := identity.EncodeKey(key)
	if err != nil {
		return err
	}
	csr, err := identity.NewRequest(key)
	if err != nil {
		return err
	}
	conn, err := a.link.Conn(ctx)
	if err != nil {
		return fmt.Errorf("no edge answers: %w", err)
	}
	answer, err := machinepb.NewMachineClient(conn).Renew(ctx, &machinepb.RenewRequest{Csr: csr})
	if err != nil {
		return err
	}
	fresh, err := a.holder.now.Load().with(text, answer)
	if err != nil {
		return err
	}
	return a.use(fresh)
}

// use puts credentials to use, and on disk.
func (a *agent) use(c *credentials) error {
	if err := a.secrets.Set(c.key, c.chain, c.trust()); err != nil {
		return err
	}
	a.holder.now.Store(c)
	a.config.Log.Info("certificate in use", "id", c.ID, "ends", c.tls.Leaf.NotAfter)
	return writeJSON(a.folder.identity(), c)
}
