package gobuild

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestFailedBuildTellsTheCompilersWords(t *testing.T) {
	_, err := Go(t.Context(), "build", "no.such/package")
	if err == nil || !strings.Contains(err.Error(), "go build no.such/package") || !strings.Contains(err.Error(), "no required module") {
		t.Errorf("error %v", err)
	}
}

func TestStoppedBuildSaysWhy(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := (Program{Name: "x", Module: "."}).Path(ctx, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("error %v", err)
	}
}
