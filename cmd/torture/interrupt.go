package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// untilInterrupt is ctx until Ctrl-C or SIGTERM: once stops, cures and checks
// what there is; twice leaves at once.
func untilInterrupt(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-done:
			return
		}
		select {
		case <-signals:
			fmt.Fprintln(os.Stderr, "interrupted twice: torture leaves at once; torture clean lists what containers are left")
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}
