package feed

import (
	"context"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

// outbox holds the news that wait for the connection, merged by key, so that it never holds more
// than the edge has workloads, proxies and refused resources.
type outbox struct {
	wake chan struct{}

	mu         sync.Mutex
	open       bool // news are kept only while there is a stream: each begins with the inventory
	workloads  map[string]*feedpb.Workload
	gone       map[string]struct{}
	receipts   map[string]receipt
	rejections map[rejectionKey]*feedpb.Rejection
	conditions []*feedpb.Condition
	set        bool
	extent     feedpb.ReportRequest_Extent
	cluster    *feedpb.Cluster
}

type receipt struct {
	revision int64
	gone     bool
}

type rejectionKey struct{ resource, proxy string }

func newOutbox() *outbox {
	o := &outbox{wake: make(chan struct{}, 1)}
	o.reset()
	return o
}

// reset leaves nothing that waits, nor anybody to be woken for it: else an empty message would follow one
// that took what came while it was made. Caller holds mu, as put does.
func (o *outbox) reset() {
	o.workloads, o.gone = map[string]*feedpb.Workload{}, map[string]struct{}{}
	o.receipts, o.rejections = map[string]receipt{}, map[rejectionKey]*feedpb.Rejection{}
	o.conditions, o.set, o.extent, o.cluster = nil, false, feedpb.ReportRequest_OWN, nil
	select {
	case <-o.wake:
	default:
	}
}

// start forgets what waits and keeps what comes.
func (o *outbox) start() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reset()
	o.open = true
}

func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reset()
	o.open = false
}

func (o *outbox) put(news *feedpb.ReportRequest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open {
		return
	}
	o.merge(news)
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) merge(news *feedpb.ReportRequest) {
	if news.Extent == feedpb.ReportRequest_ZONE {
		clear(o.workloads)
		clear(o.gone)
		o.extent = news.Extent
	}
	for _, w := range news.Workloads {
		o.workloads[w.Name] = w
		delete(o.gone, w.Name)
	}
	for _, name := range news.WorkloadsGone {
		o.gone[name] = struct{}{}
		delete(o.workloads, name)
	}
	for _, r := range news.Receipts {
		for _, proxy := range r.Proxies {
			o.receipts[proxy] = receipt{r.Revision, r.Gone}
		}
	}
	for _, r := range news.Rejections {
		o.rejections[rejectionKey{r.Resource, r.Proxy}] = r
	}
	if news.ConditionsSet {
		o.conditions, o.set = news.Conditions, true
	}
	if news.Cluster != nil {
		o.cluster = news.Cluster
	}
}

// take empties the box into one message.
func (o *outbox) take() *feedpb.ReportRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	report := &feedpb.ReportRequest{
		Conditions: o.conditions, ConditionsSet: o.set, Receipts: o.byReceipt(), Extent: o.extent, Cluster: o.cluster,
	}
	for _, w := range o.workloads {
		report.Workloads = append(report.Workloads, w)
	}
	for name := range o.gone {
		report.WorkloadsGone = append(report.WorkloadsGone, name)
	}
	for _, r := range o.rejections {
		report.Rejections = append(report.Rejections, r)
	}
	o.reset()
	return report
}

// byReceipt names together the proxies that acknowledged the same revision.
func (o *outbox) byReceipt() []*feedpb.Receipt {
	byKey := map[receipt]*feedpb.Receipt{}
	var receipts []*feedpb.Receipt
	for proxy, key := range o.receipts {
		r := byKey[key]
		if r == nil {
			r = &feedpb.Receipt{Revision: key.revision, Gone: key.gone}
			byKey[key] = r
			receipts = append(receipts, r)
		}
		r.Proxies = append(r.Proxies, proxy)
	}
	return receipts
}

// reports sends the inventory, then news as they come, each after the answer to the one before.
func (c *Client) reports(ctx context.Context, f feedpb.FeedClient) error {
	stream, err := f.Report(ctx)
	if err != nil {
		return err
	}
	c.outbox.start()
	defer c.outbox.stop()
	report := proto.Clone(c.config.Inventory()).(*feedpb.ReportRequest)
	report.Hello = &feedpb.ReportRequest_Hello{Zone: c.config.Zone, Edge: c.config.Edge}
	report.Reset_, report.ConditionsSet = true, true
	for sequence := uint64(1); ; sequence++ {
		report.Sequence = sequence
		if err := stream.Send(report); err != nil {
			_, err = stream.Recv() // Send only says EOF; this says why
			return err
		}
		if _, err := stream.Recv(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.outbox.wake:
			report = c.outbox.take()
		}
	}
}
