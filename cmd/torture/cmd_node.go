package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/host"
	"github.com/torture-harness/torture/node"
)

// newNodeCommand is what runs in a node's container.
func newNodeCommand(a *app) *cobra.Command {
	var target, id, peers, options string
	cfg := host.Config{}
	cmd := &cobra.Command{
		Use:    "node",
		Short:  "Run one node (inside its container)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := a.targets().Named(target)
			if err != nil {
				return err
			}
			var o node.Options
			if err := json.Unmarshal([]byte(options), &o); err != nil {
				return fmt.Errorf("--options: %w", err)
			}
			flags := t.Defaults()
			for k, v := range o.Flags {
				flags[k] = v
			}
			o.Flags = flags
			if err := t.CheckFlags(flags); err != nil {
				return err
			}
			cfg.ID, cfg.Addrs = node.ID(id), map[node.ID]string{}
			for _, p := range strings.Split(peers, ",") {
				name, addr, ok := strings.Cut(p, "=")
				if !ok {
					return fmt.Errorf("--peers: %q is not id=host:port", p)
				}
				cfg.Peers = append(cfg.Peers, node.ID(name))
				cfg.Addrs[node.ID(name)] = addr
			}
			cfg.New = func() node.Node { return t.New(o) }
			cfg.Messages = t.Messages
			log, err := zap.NewProduction()
			if err != nil {
				return failed(err)
			}
			cfg.Log = log
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			err = host.Run(ctx, cfg)
			if err != nil {
				log.Error("the node ends", zap.Error(err))
			}
			os.Exit(host.ExitCode(err)) // by which the world knows how it died
			return nil
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&target, "target", "", "which target's node")
	fs.StringVar(&id, "id", "", "the node's name")
	fs.StringVar(&peers, "peers", "", "all nodes: id=host:port, by comma")
	fs.StringVar(&options, "options", "{}", "the node's options, as JSON")
	fs.StringVar(&cfg.Dir, "data", "/data", "folder for the disk and the records")
	fs.StringVar(&cfg.HTTPAddr, "http", ":8000", "address for clients and control")
	fs.StringVar(&cfg.PeerAddr, "peer", ":7000", "address for the other nodes")
	return cmd
}

// newAgentCommand is what runs in the container that owns a node's network.
func newAgentCommand(*app) *cobra.Command {
	return &cobra.Command{
		Use:    "agent",
		Short:  "Enact faults on a node's network (inside the container that owns it)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return failed(agent.Main(context.Background(), os.Stdin, os.Stdout))
		},
	}
}
