package pilot

import (
	"strconv"
	"testing"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	v3 "istio.io/istio/pilot/pkg/xds/v3"
)

// book is a ledger of a proxy that has all of epoch 1, and the newest epoch told.
type book struct {
	*ledger
	t    *testing.T
	told uint64
}

func newBook(t *testing.T) *book {
	b := &book{t: t}
	b.ledger = newLedger(func(v version, _ bool) { b.told = v.epoch })
	for _, typeURL := range []string{v3.ClusterType, v3.ListenerType, v3.RouteType} {
		b.ack(b.post(typeURL, 1, "first"))
	}
	b.mark(version{epoch: 1})
	b.want("the start", 1)
	return b
}

// post sends a resource and returns its nonce.
func (b *book) post(typeURL string, epoch uint64, name string) string {
	resp := &discovery.DeltaDiscoveryResponse{
		TypeUrl: typeURL, SystemVersionInfo: version{epoch: epoch}.String(), Nonce: typeURL + strconv.FormatUint(epoch, 10) + name,
		Resources: []*discovery.Resource{{Name: name}},
	}
	b.send(resp, resp)
	return resp.Nonce
}

func (b *book) want(after string, epoch uint64) {
	b.t.Helper()
	if b.told != epoch || b.acknowledged().epoch != epoch {
		b.t.Errorf("after %s epoch %d is told acknowledged, want %d", after, b.told, epoch)
	}
}

// A proxy may accept what puts a version right before all of that push is sent. The version that it rejected is
// not acknowledged by that, and the one that it accepted is at the end.
func TestWhatIsPutRightIsNotWhatWasRejected(t *testing.T) {
	t.Run("accepted anew", func(t *testing.T) {
		b := newBook(t)
		bad := b.post(v3.RouteType, 2, "9080")
		b.mark(version{epoch: 2})
		b.nack(bad, "no")
		b.ack(b.post(v3.RouteType, 3, "9080"))
		b.want("the repair", 1)
		b.mark(version{epoch: 3})
		b.want("the repair was sent whole", 3)
	})
	t.Run("taken back", func(t *testing.T) {
		b := newBook(t)
		bad := b.post(v3.RouteType, 2, "9080")
		b.mark(version{epoch: 2})
		b.nack(bad, "no")
		b.right(3)
		b.ack(b.post(v3.RouteType, 3, "9090"))
		b.want("an answer to the repair", 1)
		b.mark(version{epoch: 3})
		b.want("the repair was sent whole", 3)
	})
	t.Run("the repair is rejected before it is known as one", func(t *testing.T) {
		b := newBook(t)
		bad := b.post(v3.RouteType, 2, "9080")
		b.mark(version{epoch: 2})
		b.nack(bad, "no")
		worse := b.post(v3.RouteType, 3, "9080")
		b.nack(worse, "no again")
		b.right(3)
		b.mark(version{epoch: 3})
		b.want("the second rejection", 1)
		b.right(4)
		b.mark(version{epoch: 4})
		b.want("both were taken back", 4)
	})
	t.Run("another one follows", func(t *testing.T) {
		b := newBook(t)
		b.nack(b.post(v3.RouteType, 2, "9080"), "no")
		b.right(3)
		b.mark(version{epoch: 2})
		b.nack(b.post(v3.RouteType, 3, "9090"), "a fault of the machine")
		b.mark(version{epoch: 3})
		b.want("two rejections", 1)
		b.ack(b.post(v3.RouteType, 4, "9090"))
		b.want("the repair", 1)
		b.mark(version{epoch: 4})
		b.want("the repair was sent whole", 4)
	})
	t.Run("accepted anew before it is known as taken back", func(t *testing.T) {
		b := newBook(t)
		bad := b.post(v3.RouteType, 2, "9080")
		b.nack(bad, "no")
		b.ack(b.post(v3.RouteType, 3, "9080"))
		b.right(4)
		b.mark(version{epoch: 3})
		b.want("the proxy accepted all of epoch 3", 3)
	})
	t.Run("accepted the second time it asked", func(t *testing.T) {
		b := newBook(t)
		b.mark(version{epoch: 2})
		b.nack(b.post(v3.RouteType, 2, "9080"), "no")
		b.ack(b.post(v3.RouteType, 2, "9080"))
		b.ack(b.post(v3.RouteType, 3, "9090"))
		b.mark(version{epoch: 3})
		b.want("the next push", 3)
	})
}
