package docker

import (
	"context"
	"fmt"
	"time"

	"github.com/docker/docker/api/types/container"
)

// Disturbed is the end of a world to whose containers somebody else did
// something: a node is not to be judged by what came of it.
type Disturbed struct{ What string }

func (d *Disturbed) Error() string { return d.What + ", and it was not torture" }

const (
	// lookEvery is how often the engine is asked for the run's containers.
	lookEvery = 2 * time.Second
	// answerWait is how long it may take to answer that, and unanswered how many
	// such questions in a row it may leave open. An answer takes milliseconds.
	answerWait = 4 * time.Second
	unanswered = 3
)

// watch asks the engine, until the world ends, how the run's containers are. It
// ends the world when the engine has fallen silent, or when a container is twice
// in a row not what it was made.
func (w *World) watch(every, patience time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var before map[string]string
	for open := 0; ; {
		select {
		case <-w.ctx.Done():
			return
		case <-w.gone:
			return
		case <-tick.C:
		}
		odd, err := w.oddities(patience)
		if err != nil {
			// One failure alone may be this process', which was stopped or starved.
			if open++; open == unanswered {
				w.end(fmt.Errorf("the docker engine at %s does not answer any more: %w", w.info.Host, err))
				return
			}
			continue
		}
		open = 0
		for name, what := range odd {
			if before[name] == what {
				w.end(&Disturbed{what})
				return
			}
		}
		before = odd
	}
}

// oddities tells, by the name of its node, which container is not what torture
// made it, where torture is not about to change it.
func (w *World) oddities(patience time.Duration) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	lives := map[*member]int{}
	for _, m := range w.members {
		lives[m] = m.lives()
	}
	found, err := w.cli.ContainerList(ctx, container.ListOptions{All: true, Filters: ours(w.cfg.RunID)})
	if err != nil {
		return nil, err
	}
	states := map[string]string{}
	for _, c := range found {
		states[c.ID] = c.State
	}
	odd := map[string]string{}
	for _, m := range w.members {
		select {
		case m.acting <- struct{}{}:
		default:
			continue // something is being done to it
		}
		if what := m.oddity(states[m.nodeID]); what != "" && m.lives() == lives[m] {
			odd[m.name] = what
		}
		<-m.acting
	}
	return odd, nil
}

// oddity says what somebody did to the node's container, whose state the engine
// says to be this one, or "". Of an end of it we hear otherwise.
func (m *member) oddity(state string) string {
	switch s := m.now(); {
	case state == "" && s != broken:
		return "the container of " + m.name + " was removed"
	case s == running && state == "paused":
		return m.name + " was paused"
	case s == paused && state == "running":
		return m.name + " was resumed"
	}
	return ""
}
