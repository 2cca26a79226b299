package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/sandbox"
)

const (
	stateName = "state.json"

	// maxState bounds what is read back: a configuration and a little.
	maxState = 32 << 20
)

// Status is a container's state; Paused is ours, as it is runc's.
type Status string

// States of a container.
const (
	Creating Status = "creating"
	Created  Status = "created"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
)

// State is what state.json holds.
type State struct {
	OCIVersion string    `json:"ociVersion"`
	ID         string    `json:"id"`
	Status     Status    `json:"status"` // as last written; see Container.Status
	Bundle     string    `json:"bundle"`
	Rootfs     string    `json:"rootfs"`
	Created    time.Time `json:"created"`

	// InTransit says that a command was about to change the status in the Sentry and
	// may have died before it could write the result here.
	InTransit bool `json:"inTransit,omitempty"`

	// Unstarted says of a paused container that it was created, not running, before.
	Unstarted bool `json:"unstarted,omitempty"`

	// SandboxID is the container in whose sandbox this one runs, its own id or another.
	SandboxID string `json:"sandboxID"`

	Creator Proc `json:"creator"` // the runsc that creates it
	Sentry  Proc `json:"sentry"`
	Gofer   Proc `json:"gofer"`
	Net     Proc `json:"net"`  // the network proxy; none but with --network user
	Init    Proc `json:"init"` // what engines know as the container's process

	// Links are the numbers of the interfaces that were taken over (--network sandbox).
	Links []int32 `json:"links,omitempty"`

	// Published are the ports of the host that lead inside, for people.
	Published []string `json:"published,omitempty"`

	Cgroup *cgroup.Cgroup `json:"cgroup,omitempty"`
	Flags  sandbox.Flags  `json:"flags"`
	Spec   *specs.Spec    `json:"spec"`
}

// save replaces dir/state.json: readers see the old or the new one, also after a crash.
func (s *State) save(dir string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	return writeAtomic(filepath.Join(dir, stateName), data, 0o600)
}

// writeAtomic replaces path by way of a temporary file beside it. Nothing waits for the
// disk: what the file describes does not outlive the running system either.
func writeAtomic(path string, data []byte, mode os.FileMode) (err error) {
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("save %s: %w", path, err)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// loadState reads dir/state.json.
func loadState(dir string) (*State, error) {
	f, err := os.Open(filepath.Join(dir, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	s := new(State)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w); runsc delete --force removes the container", filepath.Join(dir, stateName), err)
	}
	if s.ID != filepath.Base(dir) || s.Spec == nil {
		return nil, fmt.Errorf("%s is damaged; runsc delete --force removes the container", filepath.Join(dir, stateName))
	}
	return s, nil
}
