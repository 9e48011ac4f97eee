//go:build linux

package agent

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/torture-harness/torture/host"
)

// Main serves requests from in until it ends or ctx does. The responses go to
// out.
func Main(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &agent{out: bufio.NewWriter(out), sabotaged: os.Getenv(Sabotage) == SabotageAck}
	a.tail.send = func(r Records) error { return a.respond(Response{Records: &r}) }
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() {
		s := bufio.NewScanner(in)
		s.Buffer(nil, maxLine)
		for s.Scan() {
			select {
			case lines <- append([]byte(nil), s.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
		ended <- s.Err()
	}()
	var open sync.WaitGroup
	defer open.Wait()
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("agent: read requests: %w", err)
			}
			return nil
		case line := <-lines:
			r, err := decode(line)
			if err != nil {
				_ = a.respond(Response{ID: r.ID, Error: fmt.Sprintf("request %.80q: %v", line, err)})
				continue
			}
			open.Go(func() {
				resp := a.serve(ctx, r)
				resp.ID = r.ID
				_ = a.respond(resp) // nobody listens: the harness will ask again
			})
		}
	}
}

type agent struct {
	sabotaged bool

	writing sync.Mutex
	out     *bufio.Writer

	mu     sync.Mutex // guards hello
	hello  Hello
	prober prober
	ruler  ruler
	tail   tail
}

func (a *agent) respond(r Response) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	a.out.Write(b)
	a.out.WriteByte('\n')
	return a.out.Flush()
}

func (a *agent) serve(ctx context.Context, r Request) Response {
	a.mu.Lock()
	hello := a.hello
	a.mu.Unlock()
	var resp Response
	var err error
	switch {
	case r.Hello != nil:
		err = a.greet(*r.Hello)
	case r.Able:
		resp.Able = a.ruler.able()
	case hello.Node == "":
		err = errors.New("the agent has not been told whose it is")
	case r.Rules != nil && !a.sabotaged:
		err = a.ruler.apply(hello, *r.Rules)
	case r.Rules != nil:
	case r.Probe != nil:
		resp.Links, err = a.prober.probe(ctx, hello, *r.Probe)
	case r.Call != nil:
		resp.Answer, err = call(ctx, hello.HTTP, *r.Call)
	case r.Write != nil:
		err = os.WriteFile(filepath.Join(hello.Data, filepath.Base(r.Write.Name)), r.Write.Content, 0o666)
	case r.Disk:
		resp.Disk = &Disk{}
		resp.Disk.Unsynced, resp.Disk.Doomed, err = host.Unsynced(hello.Data)
	case r.Tail != nil:
		resp.Offset, err = a.tail.serve(ctx, filepath.Join(hello.Data, filepath.Base(r.Tail.Name)), *r.Tail)
	default:
		err = errors.New("the request asks for nothing that this agent knows")
	}
	if err != nil {
		resp.Error = err.Error()
	}
	return resp
}

// greet prepares for the node of h: it answers probes from here on.
func (a *agent) greet(h Hello) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if h.Node == "" {
		return errors.New("hello names no node")
	}
	if err := a.prober.listen(h.Peer + 1); err != nil {
		return err
	}
	a.hello = h
	return nil
}
