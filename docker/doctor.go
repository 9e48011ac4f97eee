package docker

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/torture-harness/torture/docker/agent"
	"github.com/torture-harness/torture/nemesis"
)

// Capability says whether a fault can be injected, or why not.
type Capability struct {
	Kind   nemesis.Kind `json:"kind"`
	OK     bool         `json:"ok"`
	Reason string       `json:"reason,omitempty"`
}

// needs are the abilities of an agent that kinds of faults rely on. The kinds
// that are not here need an engine and the node itself.
var needs = map[nemesis.Kind]string{
	nemesis.Partition: agent.AbleFilter,
	nemesis.Client:    agent.AbleFilter,
	nemesis.Loss:      agent.AbleLoss,
	nemesis.Duplicate: agent.AbleDuplicate,
	nemesis.Delay:     agent.AbleQueue,
	nemesis.Reorder:   agent.AbleQueue,
	nemesis.Bandwidth: agent.AbleQueue,
}

// Doctor tries what each kind of fault needs, with an agent of its own, and
// tells of all kinds. It fails if not even an agent can be had. It may have to
// build torture first, as New does: say is told of that. The engine's part is
// bounded, a build is not but by ctx.
func Doctor(ctx context.Context, say func(string)) ([]Capability, error) {
	return doctor(ctx, Config{Say: say})
}

func doctor(ctx context.Context, cfg Config) (found []Capability, err error) {
	cfg.RunID, cfg.Nodes = fmt.Sprintf("doctor-%d", os.Getpid()), []string{"n1"}
	w, err := newWorld(cfg)
	if err != nil {
		return nil, err
	}
	if w.info, err = inspect(ctx, w.cli); err != nil {
		return nil, errors.Join(err, w.cli.Close())
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	m := w.members[0]
	var able agent.Response
	var pause error
	err = w.bring(ctx, func(ctx context.Context) (err error) {
		if err := m.bringAgent(ctx); err != nil {
			return err
		}
		if able, err = m.link.ask(ctx, agent.Request{Able: true}); err != nil {
			return err
		}
		pause = errors.Join(w.cli.ContainerPause(ctx, m.agentID), w.cli.ContainerUnpause(ctx, m.agentID))
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	for _, k := range nemesis.Kinds {
		c := Capability{Kind: k, OK: true}
		if what, ok := needs[k]; ok && able.Able[what] != "" {
			c.OK, c.Reason = false, "the kernel or the engine's settings do not allow an agent to "+doing[what]+": "+able.Able[what]
		}
		switch {
		case k == nemesis.Pause && pause != nil:
			c.OK, c.Reason = false, pause.Error()
		case k == nemesis.Membership:
			c.Reason = "if the target has operations to join and leave"
		}
		found = append(found, c)
	}
	return found, nil
}

// doing says what each ability is for.
var doing = map[string]string{
	agent.AbleFilter:    "drop packets",
	agent.AbleLoss:      "drop packets by chance",
	agent.AbleDuplicate: "send packets twice",
	agent.AbleQueue:     "hold packets",
}
