//go:build !linux

package agent

import (
	"context"
	"errors"
	"io"
)

// Main fails: an agent runs in a Linux container.
func Main(context.Context, io.Reader, io.Writer) error {
	return errors.New("the agent runs in a Linux container only")
}
