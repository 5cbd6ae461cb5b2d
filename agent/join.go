package agent

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/isthmus-mesh/isthmus/agent/attend"
	"github.com/isthmus-mesh/isthmus/api/problem"
	"github.com/isthmus-mesh/isthmus/durable"
	"github.com/isthmus-mesh/isthmus/identity"
	"github.com/isthmus-mesh/isthmus/machine/machinepb"
)

// Pauses between rounds of a join, and how long one edge may take.
const (
	joinPause     = 500 * time.Millisecond
	joinLongPause = 10 * time.Second
	joinTime      = 15 * time.Second
)

// Joining is what [Join] needs; all fields are required.
type Joining struct {
	// Data directory, made if need be.
	Data string
	// Token as the user got it.
	Token string
	// Role the user asks for, [RoleWorkload] or [RoleGateway]; the token must agree.
	Role     string
	Settings Settings
	Now      func() time.Time
	// Progress is told what happens, a line at a time.
	Progress io.Writer
}

// Join exchanges a token for an identity and writes down settings and identity. While no edge
// answers it tries again until ctx ends. A machine that has joined with this token already only gets the
// new settings; with another one it is refused.
func Join(ctx context.Context, j Joining) error {
	j.Settings.Version = settingsVersion
	if err := j.Settings.check(); err != nil {
		return err
	}
	token, err := identity.ParseToken(j.Token)
	if err != nil {
		return err
	}
	f := folder(j.Data)
	if err := f.make(); err != nil {
		return err
	}
	release, err := f.lock()
	if err != nil {
		return err
	}
	return errors.Join(j.join(ctx, f, token), release())
}

func (j Joining) join(ctx context.Context, f folder, token identity.Token) error {
	old, err := loadCredentials(f.identity())
	if err != nil {
		return fmt.Errorf("%s: %w", f.identity(), err)
	}
	if old != nil && old.Token != token.Name {
		return problem.AlreadyJoined.Because("%s is %s", j.Data, old.ID)
	}
	if old == nil {
		if old, err = j.enrol(ctx, f, token); err != nil {
			return err
		}
	}
	if old.Role != j.Role {
		return problem.TokenForeign.Because("token %q makes a %s, not a %s", token.Name, old.Role, j.Role)
	}
	return writeJSON(f.settings(), j.Settings)
}

// enrol gets the first certificate. The key is on disk before an edge sees it, so that a join whose
// answer is lost can be repeated: the token is bound to the key.
func (j Joining) enrol(ctx context.Context, f folder, token identity.Token) (*credentials, error) {
	key, text, err := pendingKey(f.pendingKey())
	if err != nil {
		return nil, err
	}
	csr, err := identity.NewRequest(key)
	if err != nil {
		return nil, err
	}
	answer, err := j.redeem(ctx, token, csr)
	if err != nil {
		return nil, err
	}
	c, err := credentials{Token: token.Name, Instance: newInstance()}.with(text, answer)
	if err != nil {
		return nil, err
	}
	edges := answer.Edges
	if len(edges) == 0 {
		edges = token.Addresses
	}
	err = errors.Join(writeJSON(f.member(), membership{Edges: edges}), writeJSON(f.identity(), c), os.Remove(f.pendingKey()))
	fmt.Fprintf(j.Progress, "joined zone %s as %s\n", c.Zone, c.ID)
	return c, err
}

func pendingKey(path string) (crypto.Signer, []byte, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		key, err := identity.DecodeKey(text)
		return key, text, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	key, err := identity.NewKey()
	if err != nil {
		return nil, nil, err
	}
	if text, err = identity.EncodeKey(key); err != nil {
		return nil, nil, err
	}
	return key, text, durable.WriteFile(path, text)
}

// redeem asks the edges in turn until one says yes or no.
func (j Joining) redeem(ctx context.Context, token identity.Token, csr []byte) (*machinepb.JoinResponse, error) {
	for pause := joinPause; ; pause = min(2*pause, joinLongPause) {
		for _, edge := range token.Addresses {
			answer, err := j.ask(ctx, edge, token, csr)
			if err == nil || final(err) {
				return answer, plain(err)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			fmt.Fprintf(j.Progress, "edge %s: %v; trying again\n", edge, plain(err))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (j Joining) ask(ctx context.Context, edge string, token identity.Token, csr []byte) (*machinepb.JoinResponse, error) {
	var untrusted *problem.Error
	config := identity.PinnedTLS(token.Pin, j.Now, anyEdge)
	config.VerifyConnection = noting(config.VerifyConnection, &untrusted)
	conn, err := attend.Connect(edge, config, attend.Dialer(nil).DialContext)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, joinTime)
	defer cancel()
	answer, err := machinepb.NewMachineClient(conn).Join(ctx, &machinepb.JoinRequest{Token: token.String(), Csr: csr})
	if untrusted != nil {
		return nil, untrusted
	}
	return answer, err
}

func anyEdge(id identity.ID) error {
	if _, _, ok := id.AsEdge(); !ok {
		return problem.PeerUntrusted.Because("%s is no edge", id)
	}
	return nil
}

// noting keeps the reason for which a peer was not trusted, which gRPC makes part of a text.
func noting[S any](verify func(S) error, reason **problem.Error) func(S) error {
	return func(state S) error {
		err := verify(state)
		errors.As(err, reason)
		return err
	}
}

// final tells whether asking again cannot help.
func final(err error) bool {
	var p *problem.Error
	if errors.As(err, &p) {
		return true
	}
	switch status.Code(err) {
	case codes.PermissionDenied, codes.InvalidArgument, codes.Unauthenticated, codes.Unimplemented, codes.FailedPrecondition:
		return true
	}
	return false
}

// plain takes the text out of a status.
func plain(err error) error {
	if s, ok := status.FromError(err); ok && err != nil {
		return errors.New(s.Message())
	}
	return err
}
