package docker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

// Report names what was removed, sorted.
type Report struct {
	Containers []string `json:"containers"`
	Networks   []string `json:"networks"`
	Volumes    []string `json:"volumes"`
	Images     []string `json:"images,omitempty"`
}

// String is one line for people.
func (r Report) String() string {
	return fmt.Sprintf("%d containers, %d networks, %d volumes, %d images", len(r.Containers), len(r.Networks), len(r.Volumes), len(r.Images))
}

// Clean removes what torture made: containers, networks, volumes and images,
// also those of runs that still go on; or, if runs are named by their ids, the
// containers, networks and volumes of these. It knows them by their label, and
// touches nothing else. What could not be removed is in the error; the rest is
// removed all the same.
func Clean(ctx context.Context, runs ...string) (Report, error) {
	cli, err := connect()
	if err != nil {
		return Report{}, err
	}
	defer cli.Close()
	if _, err := inspect(ctx, cli); err != nil {
		return Report{}, err
	}
	if len(runs) == 0 {
		return sweep(ctx, cli, "")
	}
	var all Report
	var errs []error
	for _, run := range runs {
		r, err := sweep(ctx, cli, run)
		errs = append(errs, err)
		all.add(r)
	}
	return all, errors.Join(errs...)
}

// Left lists what Clean would remove, and removes nothing.
func Left(ctx context.Context) (Report, error) {
	cli, err := connect()
	if err != nil {
		return Report{}, err
	}
	defer cli.Close()
	if _, err := inspect(ctx, cli); err != nil {
		return Report{}, err
	}
	return remove(ctx, cli, "", false)
}

// quiet is how long nothing must appear before a sweep is over.
const quiet = time.Second

// sweepsMax bounds how often a sweep is repeated.
const sweepsMax = 20

// sweep removes until nothing is left that could be removed: a harness that was
// killed in the middle of a request leaves the engine to carry it out, and what
// comes of it appears after its end, and holds what was there before.
func sweep(ctx context.Context, cli *client.Client, run string) (all Report, err error) {
	for i, calm := 0, 0; calm < 2 && i < sweepsMax; i++ {
		var r Report
		r, err = remove(ctx, cli, run, true)
		all.add(r)
		if calm++; err != nil || !r.Empty() {
			calm = 0
		}
		if err != nil && answers(ctx, cli) != nil {
			return all.unique(), err
		}
		select {
		case <-ctx.Done():
			return all.unique(), errors.Join(err, fmt.Errorf("docker: clean: %w", ctx.Err()))
		case <-time.After(quiet / 2):
		}
	}
	return all.unique(), err
}

// unique is r with each name once: what could not be removed at first was
// tried again.
func (r Report) unique() Report {
	for _, names := range []*[]string{&r.Containers, &r.Networks, &r.Volumes, &r.Images} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return r
}

func (r *Report) add(more Report) {
	r.Containers = append(r.Containers, more.Containers...)
	r.Networks = append(r.Networks, more.Networks...)
	r.Volumes = append(r.Volumes, more.Volumes...)
	r.Images = append(r.Images, more.Images...)
}

// Empty tells whether r names nothing.
func (r Report) Empty() bool {
	return len(r.Containers)+len(r.Networks)+len(r.Volumes)+len(r.Images) == 0
}

// remove removes what belongs to a run; or, if run is empty, everything, with
// the images. Unless really, it only lists it.
func remove(ctx context.Context, cli *client.Client, run string, really bool) (r Report, err error) {
	mine := ours(run)
	var errs []error
	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	do := func(removal func() error) error {
		if !really {
			return nil
		}
		return removal()
	}
	containers, err := cli.ContainerList(ctx, container.ListOptions{All: true, Filters: mine})
	note(err)
	// A node is in its agent's network: nodes go first.
	isAgent := func(c container.Summary) bool { return c.Labels[labelRole] == roleAgent }
	agents := slices.DeleteFunc(slices.Clone(containers), func(c container.Summary) bool { return !isAgent(c) })
	for _, some := range [][]container.Summary{slices.DeleteFunc(containers, isAgent), agents} {
		note(each(some, &r.Containers, func(c container.Summary) (string, error) {
			return strings.TrimPrefix(append(c.Names, c.ID)[0], "/"), do(func() error { return removeContainer(ctx, cli, c.ID) })
		}))
	}

	networks, err := cli.NetworkList(ctx, network.ListOptions{Filters: mine})
	note(err)
	note(each(networks, &r.Networks, func(n network.Summary) (string, error) {
		return n.Name, do(func() error { return absent(cli.NetworkRemove(ctx, n.ID)) })
	}))

	volumes, err := cli.VolumeList(ctx, volume.ListOptions{Filters: mine})
	note(err)
	note(each(volumes.Volumes, &r.Volumes, func(v *volume.Volume) (string, error) {
		return v.Name, do(func() error { return absent(cli.VolumeRemove(ctx, v.Name, true)) })
	}))

	if run == "" {
		images, err := cli.ImageList(ctx, image.ListOptions{All: true, Filters: ourImages()})
		note(err)
		note(each(images, &r.Images, func(i image.Summary) (string, error) {
			return append(i.RepoTags, i.ID)[0], do(func() error {
				_, err := cli.ImageRemove(ctx, i.ID, image.RemoveOptions{Force: true, PruneChildren: true})
				return absent(err)
			})
		}))
	}
	for _, names := range [][]string{r.Containers, r.Networks, r.Volumes, r.Images} {
		slices.Sort(names)
	}
	if len(errs) > 0 {
		return r, fmt.Errorf("docker: clean: %w", errors.Join(errs...))
	}
	return r, nil
}

// removeContainer kills and removes a container. One that is being removed by
// somebody else is as good as gone.
func removeContainer(ctx context.Context, cli *client.Client, id string) error {
	err := cli.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) {
		waiting, failed := cli.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-waiting:
			return nil
		case err = <-failed:
		}
	}
	return absent(err)
}

// absent is err, unless it says that what was to be removed is not there.
func absent(err error) error {
	if cerrdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// each removes all items at once, and adds the names of those that are gone.
func each[T any](items []T, gone *[]string, remove func(T) (name string, err error)) error {
	var mu sync.Mutex
	return inParallel(items, func(item T) error {
		name, err := remove(item)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			*gone = append(*gone, name)
		}
		return err
	})
}

// inParallel does f to each item at once and returns all that went wrong.
func inParallel[T any](items []T, f func(T) error) error {
	errs := make([]error, len(items))
	var all sync.WaitGroup
	for i, item := range items {
		all.Go(func() { errs[i] = f(item) })
	}
	all.Wait()
	return errors.Join(errs...)
}
