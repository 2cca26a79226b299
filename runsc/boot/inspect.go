package boot

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/platform"
	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/seccomp"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// Processes implements control.Processes.
func (s *Sentry) Processes(id string) ([]control.Process, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, err
	}
	ns := c.kc.PIDNS()
	now := s.k.Clock.MonotonicNS()
	wall := s.k.Clock.RealtimeNS()
	var out []control.Process
	for _, tg := range s.k.Groups(ns) {
		if tg.Container() != c.kc { // the namespace may be the whole pod's
			continue
		}
		l := tg.Leader()
		user, system, _, _ := tg.CPUTimes()
		mono, _ := l.StartNS()
		p := control.Process{
			PID: tg.PIDIn(ns), PPID: tg.ParentIn(ns), UID: c.userNS.UID(l.Creds().EUID), GID: c.userNS.GID(l.Creds().EGID), Threads: len(tg.Tasks()), TTY: "?",
			State: string(l.State().Letter()), StartUnix: (wall - (now - mono)) / abi.NsecPerSec,
			CPUTimeMS: uint64(user+system) / 1_000_000, Comm: l.Comm(), Cmd: commandLine(l.MM(), l.Comm()),
		}
		p.PGID, p.SID = tg.GroupIDs(ns)
		p.VSZ, p.RSS = sizes(l.MM())
		out = append(out, p)
	}
	return out, nil
}

// sizes are the bytes that a process has mapped, and those of them that it has touched.
func sizes(m *mm.MM) (mapped, touched uint64) {
	if m == nil || !m.TryIncUsers() {
		return 0, 0
	}
	defer m.DecUsers()
	s := m.Stats()
	return s.VmSize, s.VmRSS
}

// maxCmd bounds the command line that ps shows.
const maxCmd = 4096

// commandLine reads a process's arguments, or gives its name when they cannot be read.
func commandLine(m *mm.MM, comm string) string {
	if m == nil || !m.TryIncUsers() {
		return comm
	}
	defer m.DecUsers()
	r := m.Ranges().Args
	b := make([]byte, min(r.Len(), maxCmd))
	n, _ := m.Peek(r.Start, b)
	line := strings.TrimRight(strings.ReplaceAll(string(b[:n]), "\x00", " "), " ")
	if line == "" {
		return comm
	}
	return line
}

// Stats implements control.Inspector.
func (s *Sentry) Stats(id string) (*control.Stats, error) {
	c, err := s.container(id)
	if err != nil {
		return nil, err
	}
	user, system := c.kc.CPUTimes()
	held := c.kc.Throttling()
	st := &control.Stats{
		MemoryUsage: c.acct.Used(), MemoryMax: c.acct.Peak(), MemoryLimit: c.acct.Limit(), MemoryFails: c.acct.Fails(), OOMKills: c.kc.OOMKills(),
		Pids: uint64(c.kc.Tasks()), PidsLimit: uint64(c.kc.MaxTasks()), CPUUserNS: uint64(user), CPUSystemNS: uint64(system),
		Periods: held.Periods, ThrottledPeriods: held.Throttled, ThrottledNS: uint64(held.ThrottledNS),
	}
	st.Interfaces = c.interfaceStats()
	return st, nil
}

// State implements control.Inspector.
func (s *Sentry) State(id string) (control.ContainerStatus, error) {
	c, err := s.container(id)
	if err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shownLocked(), nil
}

// Update implements control.Inspector: the limits that the kernel itself keeps.
func (s *Sentry) Update(args *control.UpdateArgs) error {
	c, err := s.container(args.ID)
	if err != nil {
		return err
	}
	var r specs.LinuxResources
	if err := json.Unmarshal(args.Resources, &r); err != nil {
		return fmt.Errorf("read the resources: %w", err)
	}
	c.setLimits(&r)
	return nil
}

// Resize implements control.Processes.
func (s *Sentry) Resize(args *control.ResizeArgs) error {
	c, err := s.container(args.ID)
	if err != nil {
		return err
	}
	p, _, err := c.process(args.PID)
	if err != nil {
		return err
	}
	x := c.terminals.get(p.task)
	if x == nil {
		return fmt.Errorf("process %d of container %q has no terminal", args.PID, args.ID)
	}
	if args.Cols == 0 && args.Rows == 0 {
		x.resize()
		return nil
	}
	x.setSize(&unix.Winsize{Row: args.Rows, Col: args.Cols})
	return nil
}

// Debug implements control.Inspector.
func (s *Sentry) Debug(args *control.DebugArgs) (string, error) {
	switch args.Kind {
	case control.DebugStraceOn:
		s.straceOn()
		return "", nil
	case control.DebugStraceOff:
		s.table.SetStrace(nil)
		return "", nil
	case control.DebugHostSyscalls:
		return s.hostSyscalls()
	case control.DebugPlatformStats:
		return s.platformStats()
	}
	c, err := s.container(args.ID)
	if err != nil {
		return "", err
	}
	switch args.Kind {
	case control.DebugStacks:
		return s.stacks(c), nil
	case control.DebugMounts:
		var b strings.Builder
		for _, i := range c.ns.Mnt.Mounts.MountInfos(c.root) {
			b.WriteString(i.String() + "\n")
		}
		return b.String(), nil
	case control.DebugMaps:
		return s.maps(c, args.PID)
	case control.DebugNet:
		return c.netText(), nil
	}
	return "", fmt.Errorf("%q cannot be shown", args.Kind)
}

// straceOn makes every system call write a line to --strace-log's file, or the log.
func (s *Sentry) straceOn() { s.table.SetStrace(s.straceOut) }

// maxStacks bounds the text of all goroutines.
const maxStacks = 8 << 20

// stacks shows every task of the container with what it does now, and then what the
// Sentry's goroutines are at.
func (s *Sentry) stacks(c *container) string {
	var b strings.Builder
	ns := c.kc.PIDNS()
	for _, tg := range s.k.Groups(ns) {
		for _, t := range tg.Tasks() {
			fmt.Fprintf(&b, "task %d of process %d (%s): %c\n", t.TIDIn(ns), tg.PIDIn(ns), t.Comm(), t.State().Letter())
		}
	}
	buf := make([]byte, maxStacks)
	b.WriteByte('\n')
	b.Write(buf[:runtime.Stack(buf, true)])
	return b.String()
}

// platformStats shows what the platform counts; it is the whole sandbox's.
func (s *Sentry) platformStats() (string, error) {
	p, ok := s.platform.(platform.Counting)
	if !ok {
		return "", errors.New("this platform counts nothing")
	}
	var b strings.Builder
	for _, c := range p.Counters() {
		fmt.Fprintf(&b, "%-26s %d\n", c.Name, c.Value)
	}
	return b.String(), nil
}

// hostSyscalls lists what the Sentry may ask of the host.
func (s *Sentry) hostSyscalls() (string, error) {
	name, err := sandbox.FilterFor(&s.cfg.Flags)
	if err != nil {
		return "", err
	}
	f, ok := seccomp.Lookup(name)
	if !ok {
		return "", fmt.Errorf("filter %q is not known", name)
	}
	calls := f.Calls(runtime.GOARCH)
	return fmt.Sprintf("%s\n%d calls\n", strings.Join(calls, "\n"), len(calls)), nil
}

func (s *Sentry) maps(c *container, pid int32) (string, error) {
	var b strings.Builder
	for _, tg := range s.k.Groups(c.kc.PIDNS()) {
		n := tg.PIDIn(c.kc.PIDNS())
		m := tg.Leader().MM()
		if pid != 0 && n != pid || m == nil || !m.TryIncUsers() {
			continue
		}
		fmt.Fprintf(&b, "process %d (%s)\n", n, tg.Leader().Comm())
		m.Maps(func(v *mm.VMAInfo) {
			perms := v.Perms()
			fmt.Fprintf(&b, "%012x-%012x %s %s\n", v.Start, v.End, perms[:], v.Name)
		})
		m.DecUsers()
	}
	if pid != 0 && b.Len() == 0 {
		return "", fmt.Errorf("no process %d with an address space in container %q; runsc ps %s lists them", pid, c.id, c.id)
	}
	return b.String(), nil
}
