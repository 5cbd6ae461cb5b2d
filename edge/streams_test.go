package edge

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
)

func TestRefusedStreamsAreCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(refusedStreams{func() map[codes.Code]int { return map[codes.Code]int{codes.PermissionDenied: 3} }})
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("gathered %v, %v", families, err)
	}
	got := strings.Join(strings.Fields(families[0].Metric[0].String()), " ")
	if !strings.Contains(got, `value:"PermissionDenied"`) || !strings.Contains(got, "value:3") {
		t.Errorf("gathered %s", got)
	}
}
