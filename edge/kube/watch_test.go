package kube

import (
	"errors"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// A reflector goes on watching after what it takes for a refused connection, and lists after everything else.
func TestWatchListsAgainAfterAnOutage(t *testing.T) {
	refused := &url.Error{Op: "Get", URL: "https://api/", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}}
	if !utilnet.IsConnectionRefused(refused) {
		t.Fatal("the test's error is not what reflectors look for")
	}
	if err := listAgain(refused); utilnet.IsConnectionRefused(err) || err.Error() != refused.Error() {
		t.Errorf("got %v", err)
	}
	other := errors.New("other")
	if listAgain(other) != other || listAgain(nil) != nil {
		t.Error("another error does not stay what it is")
	}
}
