package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/docker/docker/api/types"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
)

// Labels on everything that torture makes.
const (
	label     = "torture"      // "1"
	labelRun  = "torture.run"  // the run's id
	labelRole = "torture.role" // roleNode or roleAgent

	roleNode  = "node"
	roleAgent = "agent"
)

// engineTimeout bounds one request to the engine, which takes a fraction of a
// second.
const engineTimeout = 15 * time.Second

// Info is what there is to know about the engine.
type Info struct {
	Host    string // where it is reached
	Version string
	API     string // negotiated
	OS      string // of the machine that runs the containers
	Arch    string // as Go spells it
	Kernel  string
}

// Available tells which engine DOCKER_HOST, or its default, leads to. It fails
// if none answers, or one that cannot run the cluster.
func Available(ctx context.Context) (Info, error) {
	cli, err := connect()
	if err != nil {
		return Info{}, err
	}
	defer cli.Close()
	return inspect(ctx, cli)
}

func connect() (*client.Client, error) {
	cli, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation(), patient)
	if err != nil {
		return nil, fmt.Errorf("docker engine: %w (see DOCKER_HOST)", err)
	}
	return cli, nil
}

// patient bounds how long the client waits for an answer to begin. All answers
// begin at once but those to requests that the engine carries out first.
func patient(cli *client.Client) error {
	if t, ok := cli.HTTPClient().Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = engineTimeout
	}
	return nil
}

// attach connects to a container's output, and input if in. The client's own
// does not heed ctx while it waits for the answer.
func attach(ctx context.Context, cli *client.Client, id string, in bool) (types.HijackedResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	type result struct {
		conn types.HijackedResponse
		err  error
	}
	came := make(chan result)
	go func() {
		conn, err := cli.ContainerAttach(ctx, id, container.AttachOptions{Stream: true, Stdin: in, Stdout: true, Stderr: true})
		select {
		case came <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				conn.Close()
			}
		}
	}()
	select {
	case r := <-came:
		return r.conn, r.err
	case <-ctx.Done():
		return types.HijackedResponse{}, ctx.Err()
	}
}

// describe asks the engine what a container is. The answer has a state and a network.
func describe(ctx context.Context, cli *client.Client, id string) (container.InspectResponse, error) {
	c, err := cli.ContainerInspect(ctx, id)
	if err == nil && (c.ContainerJSONBase == nil || c.State == nil || c.NetworkSettings == nil) {
		err = fmt.Errorf("the docker engine at %s says nothing of the state of container %.12s", cli.DaemonHost(), id)
	}
	return c, err
}

// answers tells whether the engine does, soon.
func answers(ctx context.Context, cli *client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	_, err := cli.Ping(ctx)
	return err
}

func inspect(ctx context.Context, cli *client.Client) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	v, err := cli.ServerVersion(ctx)
	if err != nil {
		return Info{}, fmt.Errorf("no docker engine answers at %s: %w", cli.DaemonHost(), err)
	}
	i := Info{Host: cli.DaemonHost(), Version: v.Version, API: cli.ClientVersion(), OS: v.Os, Arch: v.Arch, Kernel: v.KernelVersion}
	if i.OS != "linux" {
		return i, fmt.Errorf("the docker engine at %s runs %s containers: nodes need linux", i.Host, i.OS)
	}
	return i, nil
}

// gateway is where ports that containers publish are reached, and published:
// this machine's loopback address; or, of a remote engine, the address that was
// chosen, else the one at which the engine itself is reached.
func gateway(ctx context.Context, daemon, chosen string) (address string, remote bool, err error) {
	u, err := url.Parse(daemon)
	if err != nil || u.Hostname() == "" || u.Hostname() == "localhost" {
		return "127.0.0.1", false, nil
	}
	if chosen == "" {
		chosen = u.Hostname()
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", chosen)
	switch {
	case err != nil:
		return "", true, fmt.Errorf("the address at which nodes are to be reached: %w (--publish chooses another)", err)
	case found[0].IsLoopback():
		return "127.0.0.1", false, nil
	}
	return found[0].Unmap().String(), true, nil
}

// ours selects what runs made: all of them, or one. The label of torture alone
// would not do: a container inherits it from its image, whoever made it.
func ours(run string) filters.Args {
	if run == "" {
		return filters.NewArgs(filters.Arg("label", label+"=1"), filters.Arg("label", labelRun))
	}
	return filters.NewArgs(filters.Arg("label", label+"=1"), filters.Arg("label", labelRun+"="+run))
}

// ourImages selects the images that torture made, which are no run's.
func ourImages() filters.Args { return filters.NewArgs(filters.Arg("label", label+"=1")) }

func labels(run string) map[string]string {
	l := map[string]string{label: "1"}
	if run != "" {
		l[labelRun] = run
	}
	return l
}
