package main

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/torture-harness/torture/targets/all"
)

// version says which torture this is: its release, if it is one, and the
// revision of its source.
func version() string {
	words := []string{"torture"}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		words = append(words, info.Main.Version)
	}
	if rev := revision(); rev != "" {
		words = append(words, "revision "+rev)
	}
	return strings.Join(append(words, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH), " ")
}

// newHelpCommand is cobra's, but that it fails for what there is no help of.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Tell what a command does",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && cmd.HasSubCommands() && len(rest) > 0 {
				err = cmd.Args(cmd, rest)
			}
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("%s has no command %q (see torture help %s)", cmd.CommandPath(), rest[0], strings.TrimPrefix(cmd.CommandPath(), "torture "))
			}
			if err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			cmd.InitDefaultVersionFlag()
			return cmd.Help()
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			if cmd, _, err := root.Find(args); err == nil {
				for _, sub := range cmd.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, sub.Name()+"\t"+sub.Short)
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// flagError adds to what is wrong with a flag what may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	meant := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1 {
		var names []string
		note := func(f *pflag.Flag) {
			if !f.Hidden {
				names = append(names, f.Name)
			}
		}
		cmd.Flags().VisitAll(note)
		cmd.InheritedFlags().VisitAll(note)
		if best := all.Closest(unknown.GetSpecifiedName(), names); best != "" {
			meant = ": did you mean --" + best + "?"
		} else if cmd.HasSubCommands() && cmd.Runnable() && cmd.HasParent() {
			meant = ": flags of a target stand after its name"
		}
	}
	return fmt.Errorf("%w%s (see %s --help)", err, meant, cmd.CommandPath())
}

// complete lets the shell complete a flag's values.
func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// completeList is complete for values of which several may be given, by comma.
func completeList(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, begun string) (list []cobra.Completion, _ cobra.ShellCompDirective) {
		before := begun[:strings.LastIndexByte(begun, ',')+1]
		for _, v := range values {
			if before != "" && (v == "all" || v == "none") {
				continue // they stand alone
			}
			if !slices.Contains(strings.Split(before, ","), v) {
				list = append(list, before+v)
			}
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	})
}

// commonFlags lists the flags that the subcommands of cmd, one a target, have in
// common.
func commonFlags(cmd *cobra.Command) string {
	common := pflag.NewFlagSet("", pflag.ContinueOnError)
	common.SortFlags = false
	subs := cmd.Commands()
	if len(subs) == 0 {
		return ""
	}
	subs[0].LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || slices.ContainsFunc(subs, func(sub *cobra.Command) bool { return sub.LocalFlags().Lookup(f.Name) == nil }) {
			return
		}
		shown := *f
		switch f.Name { // what is said of them there is of one target
		case "workload", "bug":
			shown.Usage, _, _ = strings.Cut(f.Usage, ":")
		case "nodes":
			shown.DefValue, shown.NoOptDefVal = "0", "" // each target has its own
		}
		common.AddFlag(&shown)
	})
	return common.FlagUsages()
}
