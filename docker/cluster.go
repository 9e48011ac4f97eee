package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/mount"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/pkg/stdcopy"
	"github.com/docker/go-connections/nat"

	"github.com/torture-harness/torture/docker/agent"
)

// startTimeout is how long a node may take to answer after its start.
const startTimeout = 20 * time.Second

// uncut is the context in which something is made for ctx. It does not end when
// somebody cancels ctx: a request that is cut short may be carried out all the
// same, and what is made then nobody would remove.
func uncut(ctx context.Context) (context.Context, context.CancelFunc) {
	until := time.Now().Add(engineTimeout)
	if limit, ok := ctx.Deadline(); ok && limit.Before(until) {
		until = limit
	}
	made, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	if ctx.Err() != nil {
		cancel() // nothing is begun any more
	}
	return made, cancel
}

// createNetwork makes the run's own network. It is no internal one, which could
// not publish ports; without masquerade nothing leaves it for elsewhere.
func (w *World) createNetwork(ctx context.Context) error {
	ctx, cancel := uncut(ctx)
	defer cancel()
	_, err := w.cli.NetworkCreate(ctx, w.name(), network.CreateOptions{
		Driver:  "bridge",
		Labels:  labels(w.cfg.RunID),
		Options: map[string]string{"com.docker.network.bridge.enable_ip_masquerade": "false"},
	})
	if err != nil {
		return fmt.Errorf("docker network %s: %w (torture clean lists those that earlier runs left)", w.name(), err)
	}
	return nil
}

// bringAgent makes the node's volume and starts its agent, which makes the
// network namespace that the node will join.
func (m *member) bringAgent(ctx context.Context) error {
	w := m.w
	if err := m.makeVolume(ctx); err != nil {
		return err
	}
	port := nat.Port(fmt.Sprintf("%d/tcp", httpPort))
	host := m.hostConfig()
	host.NetworkMode = container.NetworkMode(w.name())
	host.PortBindings = nat.PortMap{port: {{HostIP: w.gateway}}}
	// Its output is for the harness alone.
	host.LogConfig = container.LogConfig{Type: "none"}
	host.CapAdd = []string{"NET_ADMIN"}
	host.GroupAdd = []string{fmt.Sprint(nodeUser)} // to share the volume
	if w.cfg.Sabotage == Powerless {
		host.CapAdd = nil
	}
	var env []string
	if w.cfg.Sabotage == Liar {
		env = append(env, agent.Sabotage+"="+agent.SabotageAck)
	}
	creating, cancel := uncut(ctx)
	defer cancel()
	created, err := w.cli.ContainerCreate(creating, &container.Config{
		Image: w.image, Cmd: agentCommand(), Env: env, Hostname: m.name, User: "0:0",
		OpenStdin: true, AttachStdin: true, AttachStdout: true, AttachStderr: true,
		ExposedPorts: nat.PortSet{port: {}},
		Labels:       m.labels(roleAgent),
	}, host, &network.NetworkingConfig{
		EndpointsConfig: map[string]*network.EndpointSettings{w.name(): {Aliases: []string{m.name}}},
	}, nil, w.name(m.name, roleAgent))
	if err != nil {
		return m.errorf("create its agent: %w", err)
	}
	m.agentID = created.ID
	m.link = &link{cli: w.cli, id: m.agentID, records: m.records.add, resume: m.greet, lost: m.desert}
	if err := m.link.attach(ctx); err != nil {
		return m.errorf("attach to its agent: %w", err)
	}
	waiting, failed := w.cli.ContainerWait(w.ctx, m.agentID, container.WaitConditionNextExit)
	if err := w.cli.ContainerStart(ctx, m.agentID, container.StartOptions{}); err != nil {
		return m.errorf("start its agent: %w", err)
	}
	go m.guard(waiting, failed)
	return m.locate(ctx, port)
}

// guard ends the world when the agent ends: nobody could cure the node.
func (m *member) guard(waiting <-chan container.WaitResponse, failed <-chan error) {
	select {
	case r := <-waiting:
		switch words := m.link.lastWords(); {
		case m.w.ctx.Err() != nil:
		case words == "" && r.StatusCode != 0:
			// It has no end of its own but with words.
			m.w.end(&Disturbed{fmt.Sprintf("the agent of %s was ended from outside, with exit code %d", m.name, r.StatusCode)})
		default:
			m.w.end(m.errorf("its agent ended with code %d, and with the words %q", r.StatusCode, words))
		}
	case err := <-failed:
		if m.w.ctx.Err() == nil {
			m.w.end(m.w.lost(m.errorf("wait for the end of its agent: %w", err)))
		}
	}
}

// locate finds out where the agent, and so the node, is reached.
func (m *member) locate(ctx context.Context, port nat.Port) error {
	c, err := describe(ctx, m.w.cli, m.agentID)
	if err != nil {
		return m.errorf("inspect its agent: %w", err)
	}
	e := c.NetworkSettings.Networks[m.w.name()]
	published := c.NetworkSettings.Ports[port]
	if e == nil || e.IPAddress == "" || len(published) == 0 {
		return m.errorf("its agent has no address or no published port: it ended with code %d", c.State.ExitCode)
	}
	m.ip = e.IPAddress
	m.address = net.JoinHostPort(m.w.gateway, published[0].HostPort)
	return nil
}

// bringNode tells the agent of its peers, and starts the node. It returns when
// the node answers.
func (m *member) bringNode(ctx context.Context) error {
	w := m.w
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := m.hello(ctx); err != nil {
		return m.errorf("greet its agent: %w", err)
	}
	host := m.hostConfig()
	host.NetworkMode = container.NetworkMode("container:" + m.agentID)
	// What it says is in the run's directory; this is for docker logs.
	host.LogConfig = container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "16m", "max-file": "1"}}
	creating, done := uncut(ctx)
	defer done()
	created, err := w.cli.ContainerCreate(creating, &container.Config{
		Image: w.image, Cmd: w.nodeCommand(m.name), User: fmt.Sprintf("%d:%d", nodeUser, nodeUser),
		AttachStdout: true, AttachStderr: true,
		Labels: m.labels(roleNode),
	}, host, nil, nil, w.name(m.name))
	if err != nil {
		return m.errorf("create: %w", err)
	}
	m.nodeID = created.ID
	if err := m.start(ctx); err != nil {
		return err
	}
	if err := m.healthy(ctx); err != nil {
		return err
	}
	m.shorten(ctx)
	return nil
}

// shorten has clients call the node's own address, if it is reached from here,
// as it is where the engine is this machine's. The way over the published port
// costs a process in between, which moreover takes calls for a node that is
// not there.
func (m *member) shorten(ctx context.Context) {
	direct := fmt.Sprintf("%s:%d", m.ip, httpPort)
	if strings.HasPrefix(m.w.info.Host, "unix://") && m.visit(ctx, direct) == nil {
		m.address = direct
	}
}

// hello makes the agent ready, now and after a broken connection.
func (m *member) hello(ctx context.Context) error {
	h := agent.Hello{Node: m.name, Peers: map[string]string{}, HTTP: httpPort, Peer: peerPort, Data: dataDir}
	for _, p := range m.w.members {
		if p != m {
			h.Peers[p.name] = p.ip
		}
	}
	if _, err := m.link.ask(ctx, agent.Request{Hello: &h}); err != nil {
		return err
	}
	return m.records.follow(ctx)
}

func (m *member) greet() {
	ctx, cancel := context.WithTimeout(m.w.ctx, engineTimeout)
	defer cancel()
	if err := m.hello(ctx); err != nil {
		m.desert(err)
	}
}

// desert ends the world when the agent is there and cannot be reached.
func (m *member) desert(err error) {
	if m.w.ctx.Err() == nil {
		m.w.end(m.w.lost(m.errorf("greet its agent again: %w", err)))
	}
}

func (m *member) makeVolume(ctx context.Context) error {
	ctx, cancel := uncut(ctx)
	defer cancel()
	if _, err := m.w.cli.VolumeCreate(ctx, volume.CreateOptions{Name: m.w.name(m.name), Labels: labels(m.w.cfg.RunID)}); err != nil {
		return m.errorf("create its volume: %w", err)
	}
	return nil
}

func (m *member) labels(role string) map[string]string {
	l := labels(m.w.cfg.RunID)
	l[labelRole] = role
	return l
}

// hostConfig is what agent and node have in common: they may nothing, and can
// write to the volume only.
func (m *member) hostConfig() *container.HostConfig {
	return &container.HostConfig{
		CapDrop:        []string{"ALL"},
		ReadonlyRootfs: true,
		SecurityOpt:    []string{"no-new-privileges"},
		Mounts:         []mount.Mount{{Type: mount.TypeVolume, Source: m.w.name(m.name), Target: dataDir}},
	}
}

// lost is err, with the plainer reason that the engine is gone if that is so. An
// engine that goes breaks its connections one by one, so it is asked for a while.
func (w *World) lost(err error) error {
	for range 5 {
		if answers(context.Background(), w.cli) != nil {
			return fmt.Errorf("the docker engine at %s is gone: %w", w.info.Host, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return err
}

// demultiplex writes what a container says, on either stream, to w.
func demultiplex(w io.Writer, r io.Reader) error {
	_, err := stdcopy.StdCopy(w, w, r)
	return err
}
