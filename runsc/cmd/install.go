package cmd

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// installFlags are what install and uninstall share.
type installFlags struct {
	name, docker, containerd string
	dryRun                   bool
}

// backupSuffix is added to the name of a configuration for the copy of what it was.
const backupSuffix = ".before-runsc"

func (f *installFlags) register(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.name, "runtime", "runsc", "name of the runtime")
	fl.StringVar(&f.docker, "docker", "/etc/docker/daemon.json", "configuration of Docker's daemon, or none")
	fl.StringVar(&f.containerd, "containerd", "/etc/containerd/config.toml", "configuration of containerd, or none")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show the change")
}

func (a *app) installCommand() *cobra.Command {
	f := &installFlags{}
	cmd := &cobra.Command{
		Use: "install [command options]", Short: "register runsc with Docker and containerd", Args: exactArgs(0),
		Long: `Install registers this program as a runtime in the configurations of Docker's daemon and
of containerd, as far as these engines are there: their folders exist. It shows the change,
keeps a copy of what was (` + backupSuffix + `) and refuses what it does not understand. The
engines must be restarted afterwards.`,
		RunE: func(*cobra.Command, []string) error { return f.run(dockerInstall, containerdInstall) },
	}
	f.register(cmd)
	return cmd
}

func (a *app) uninstallCommand() *cobra.Command {
	f := &installFlags{}
	cmd := &cobra.Command{
		Use: "uninstall [command options]", Short: "undo install", Args: exactArgs(0),
		Long: `Uninstall removes what install added to the configurations of Docker's daemon and of
containerd. Containers that use the runtime must be removed first.`,
		RunE: func(*cobra.Command, []string) error { return f.run(dockerUninstall, containerdUninstall) },
	}
	f.register(cmd)
	return cmd
}

// rewrite turns the text of a configuration, nil if there is none, into another.
type rewrite func(text []byte, name, binary string) ([]byte, error)

func (f *installFlags) run(docker, containerd rewrite) error {
	if !validRuntimeName(f.name) {
		return fmt.Errorf("--runtime %q: want lower-case letters, digits and -", f.name)
	}
	binary, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	type step struct {
		path      string
		old, text []byte
	}
	var steps []step
	for _, e := range []struct {
		path string
		make rewrite
	}{{f.docker, docker}, {f.containerd, containerd}} {
		if _, err := os.Stat(filepath.Dir(e.path)); e.path == "none" || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		old, err := os.ReadFile(e.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		text, err := e.make(old, f.name, binary)
		if err != nil {
			return fmt.Errorf("%s: %w; nothing was changed", e.path, err)
		}
		steps = append(steps, step{e.path, old, text})
	}
	if len(steps) == 0 {
		return errors.New("neither Docker nor containerd is here: there is no folder of their configurations; name files with --docker and --containerd")
	}
	// All is understood before anything is written.
	for _, s := range steps {
		if bytes.Equal(s.old, s.text) {
			fmt.Printf("%s: nothing to do\n", s.path)
			continue
		}
		fmt.Printf("%s:\n%s", s.path, changedLines(string(s.old), string(s.text)))
		if f.dryRun {
			continue
		}
		if err := replaceConfig(s.path, s.old, s.text); err != nil {
			return err
		}
	}
	return nil
}

func validRuntimeName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// replaceConfig keeps a copy of the old text and puts the new one in its place.
func replaceConfig(path string, old, text []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := os.FileMode(0o644)
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm()
	}
	if old != nil {
		if err := os.WriteFile(path+backupSuffix, old, mode); err != nil {
			return fmt.Errorf("keep a copy: %w", err)
		}
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".runsc-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(text); err != nil {
		return err
	}
	if err := errors.Join(tmp.Chmod(mode), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// changedLines shows what is removed and added, without what is the same at both ends.
func changedLines(old, text string) string {
	a, b := strings.SplitAfter(old, "\n"), strings.SplitAfter(text, "\n")
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	var out strings.Builder
	for _, set := range []struct {
		mark  string
		lines []string
	}{{"- ", a}, {"+ ", b}} {
		for _, l := range set.lines {
			if l != "" {
				out.WriteString(set.mark + strings.TrimSuffix(l, "\n") + "\n")
			}
		}
	}
	return out.String()
}
