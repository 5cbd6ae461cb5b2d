package hub_test

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"github.com/isthmus-mesh/isthmus/feed/feedpb"
)

func TestTmp10k(t *testing.T) {
	w := newWorld(t)
	w.apply(mesh)
	var wls []*feedpb.Workload
	for i := range 200 {
		x := workload(fmt.Sprintf("s%d-1", i), "v1")
		x.Service = fmt.Sprintf("s%d", i)
		wls = append(wls, x)
	}
	w.join("edge-1", wls...)
	start := time.Now()
	f, _ := os.Create("/tmp/hubeng/10k.prof")
	pprof.StartCPUProfile(f)
	var all errgroup.Group
	all.SetLimit(16)
	for i := range 10000 {
		y := strings.Replace(route(fmt.Sprintf("r%d", i), "x"), "name: reviews}]\n  rules", fmt.Sprintf("name: s%d}]\n  rules", i%200), 1)
		o := parse(t, y)
		all.Go(func() error { return w.tryPut(o) })
	}
	if err := all.Wait(); err != nil { t.Fatal(err) }
	applied := time.Now()
	wr := w.counter("isthmus_hub_status_writes_total", "written")
	for range 30 {
		time.Sleep(2*time.Second)
		if w.allProgrammed() == nil { break }
	}
	pprof.StopCPUProfile()
	if err := w.allProgrammed(); err != nil { t.Error(err) }
	t.Logf("applied in %v, %v statuses by then; programmed %v later; %v writes, failed %v", applied.Sub(start), wr, time.Since(applied), w.counter("isthmus_hub_status_writes_total", "written"), w.counter("isthmus_hub_status_writes_total", "failed"))
	fam, _ := w.metrics.Gather()
	for _, x := range fam { if strings.Contains(x.GetName(), "_seconds") { h := x.Metric[0].GetHistogram(); t.Log(x.GetName(), h.GetSampleCount(), h.GetSampleSum()) ; for _, b := range h.Bucket { t.Log(b.GetUpperBound(), b.GetCumulativeCount()) } } }
}
