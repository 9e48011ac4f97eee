package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torture-harness/torture/histories"
)

// addLimitFlags lets the user raise the limits of what is read.
func (a *app) addLimitFlags(cmd *cobra.Command) {
	cmd.Flags().Var((*sizeFlag)(&a.limits.Record), "max-record", "longest line, op or document that is read")
	cmd.Flags().Uint32Var(&a.limits.Ratio, "max-ratio", histories.RatioDefault, "how many times its size a compressed file may be, beyond 1 GB")
}

// sizeFlag is a number of bytes, written as 64MB.
type sizeFlag int

var units = []struct {
	name  string
	bytes int
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"", 1}}

func (s *sizeFlag) Type() string { return "size" }

func (s *sizeFlag) String() string {
	n := int(*s)
	if n == 0 {
		n = histories.RecordDefault
	}
	for _, u := range units {
		if n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.name
		}
	}
	return strconv.Itoa(n)
}

func (s *sizeFlag) Set(text string) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > histories.RecordMax/u.bytes {
			break
		}
		*s = sizeFlag(n * u.bytes)
		return nil
	}
	return fmt.Errorf("want a size from 1 to %dGB, such as 64MB", histories.RecordMax>>30)
}
