package docker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
)

const (
	module  = "github.com/torture-harness/torture"
	command = module + "/cmd/torture"
)

// binary finds a static build of torture for the engine's machine: the one
// given; else the running program, if it is one; else it builds one from the
// module's source, which it expects around the working directory. That takes a
// compiler's time, of which say is told; only ctx bounds it.
func binary(ctx context.Context, given, arch string, say func(string)) (string, error) {
	if given != "" {
		if err := static(given, arch); err != nil {
			return "", fmt.Errorf("%w; build one with: CGO_ENABLED=0 GOOS=linux GOARCH=%s go build %s", err, arch, command)
		}
		return given, nil
	}
	self, err := os.Executable()
	if err == nil {
		if err = torture(self); err == nil {
			if err = static(self, arch); err == nil {
				return self, nil
			}
		}
	}
	built, buildErr := build(ctx, arch, say)
	if buildErr != nil {
		return "", fmt.Errorf("containers need a static torture for linux/%s. This program is none: %w. Building one did not work either: %w. "+
			"Run from the source tree, or build it with: CGO_ENABLED=0 GOOS=linux GOARCH=%s go build %s, and pass it with --binary", arch, err, buildErr, arch, command)
	}
	return built, nil
}

// torture fails if the program at path is another, such as a test.
func torture(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	if info.Path != command {
		return fmt.Errorf("%s is a build of %s", path, info.Path)
	}
	return nil
}

// machines are Go's architectures as ELF spells them.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64, "loong64": elf.EM_LOONGARCH,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// static fails unless the program at path runs on its own on linux/arch.
func static(path, arch string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("%s is not a linux program: %w", path, err)
	}
	defer f.Close()
	if want, ok := machines[arch]; ok && f.Machine != want {
		return fmt.Errorf("%s is for %v, the docker engine's machine is %s", path, f.Machine, arch)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically", path)
		}
	}
	return nil
}

// build makes a static torture and keeps it in the user's cache under the hash
// of its content. The go command's own cache makes the second time quick.
func build(ctx context.Context, arch string, say func(string)) (string, error) {
	source, err := sourceTree(ctx)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "torture", "bin")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(dir, "build-*")
	if err != nil {
		return "", err
	}
	tmp.Close()
	defer os.Remove(tmp.Name())
	say(fmt.Sprintf("building a static torture for the containers (linux/%s) from %s, which takes minutes the first time", arch, source))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", tmp.Name(), command)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w: %s", source, err, bytes.TrimSpace(out))
	}
	if err := static(tmp.Name(), arch); err != nil {
		return "", err
	}
	b, err := os.ReadFile(tmp.Name())
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "torture-"+hash(b))
	return path, os.Rename(tmp.Name(), path)
}

// sourceTree is the directory of the module's source.
func sourceTree(ctx context.Context) (string, error) {
	if info, ok := debug.ReadBuildInfo(); !ok || info.Main.Path != module {
		return "", errors.New("this program was not built from the module " + module)
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module)
	out, err := cmd.Output()
	if dir := strings.TrimSpace(string(out)); err == nil && dir != "" {
		return dir, nil
	}
	// Where this file was when it was compiled, unless paths were trimmed.
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		dir := filepath.Dir(filepath.Dir(file))
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("the working directory is not in the source tree of " + module)
}

func hash(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:10])
}
