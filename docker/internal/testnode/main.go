// Command testnode is a torture of one small target, for the tests of package
// docker: a register on each node, which tells the others of its writes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/host"
	"github.com/torture-harness/torture/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: testnode node|agent")
		os.Exit(254)
	}
	var err error
	switch os.Args[1] {
	case "agent":
		err = agent.Main(ctx, os.Stdin, os.Stdout)
	case "node":
		err = serve(ctx, os.Args[2:])
	default:
		err = fmt.Errorf("%q is neither node nor agent", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(host.ExitCode(err))
}

func serve(ctx context.Context, args []string) error {
	var options node.Options
	var id, peers, target, given string
	cfg := host.Config{Addrs: map[node.ID]string{}, Messages: messages, NoFsync: true}
	fs := flag.NewFlagSet("node", flag.ContinueOnError)
	fs.StringVar(&target, "target", "", "")
	fs.StringVar(&id, "id", "", "")
	fs.StringVar(&peers, "peers", "", "")
	fs.StringVar(&given, "options", "{}", "")
	fs.StringVar(&cfg.Dir, "data", "", "")
	fs.StringVar(&cfg.HTTPAddr, "http", "", "")
	fs.StringVar(&cfg.PeerAddr, "peer", "", "")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(given), &options); err != nil {
		return err
	}
	for _, p := range strings.Split(peers, ",") {
		name, addr, _ := strings.Cut(p, "=")
		cfg.Peers = append(cfg.Peers, node.ID(name))
		cfg.Addrs[node.ID(name)] = addr
	}
	cfg.ID = node.ID(id)
	cfg.New = func() node.Node { return &register{mute: options.Bug == "mute"} }
	if target == "stubborn" { // does not end when asked to
		ctx = context.WithoutCancel(ctx)
	}
	if target == "absent" { // does not even listen
		return fmt.Errorf("target %s does not start", target)
	}
	fmt.Printf("%s begins, uid %d\n", id, os.Getuid())
	defer fmt.Printf("%s ends\n", id)
	return host.Run(ctx, cfg)
}

// told is a write that another node had.
type told struct{ Value json.RawMessage }

// moved is a change of membership that another node granted.
type moved struct {
	Node node.ID
	Left bool
}

var messages = node.Messages(told{}, moved{})

// register holds a value. It answers: write, read; sync, which makes the value
// durable; lead, which takes a role; told, the last value that others told of;
// join and leave, which it tells the others, and members; panic.
type register struct {
	mute  bool
	value json.RawMessage
	told  json.RawMessage
	left  []node.ID
}

func (r *register) Start(env *node.Env) {
	var v json.RawMessage
	if env.Read("value", &v) {
		r.value = v
	}
	env.Record("started", env.ID)
}

func (r *register) Request(env *node.Env, q node.Request) {
	if r.mute {
		return
	}
	switch q.F {
	case "write":
		r.value = q.Value
		env.Write("value", q.Value)
		env.Record("wrote", q.Value)
		env.BroadcastOthers(told{q.Value})
		env.Reply(q, q.Value)
	case "sync":
		env.Sync()
		env.Reply(q, nil)
	case "read":
		env.Reply(q, r.value, node.Ext{Name: "by", Value: env.ID})
	case "told":
		env.Reply(q, r.told)
	case "lead":
		env.Role("leader", 1)
		env.Reply(q, nil)
	case "join", "leave":
		var id node.ID
		if err := json.Unmarshal(q.Value, &id); err != nil {
			env.Fail(q, err.Error())
			return
		}
		m := moved{id, q.F == "leave"}
		r.move(m)
		env.BroadcastOthers(m)
		env.Reply(q, q.Value)
	case "members":
		env.Reply(q, slices.DeleteFunc(slices.Clone(env.Peers), func(id node.ID) bool { return slices.Contains(r.left, id) }))
	case "refuse":
		env.Fail(q, "refused by the node")
	case "panic":
		panic("as was asked for")
	default: // silence
	}
}

func (r *register) Receive(_ *node.Env, _ node.ID, m any) {
	switch m := m.(type) {
	case told:
		r.told = m.Value
	case moved:
		r.move(m)
	}
}

func (r *register) move(m moved) {
	r.left = slices.DeleteFunc(r.left, func(id node.ID) bool { return id == m.Node })
	if m.Left {
		r.left = append(r.left, m.Node)
	}
}

func (r *register) Timer(*node.Env, string) {}
