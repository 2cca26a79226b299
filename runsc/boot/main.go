package boot

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"lazaret/platform"
	"lazaret/platform/ptrace"
	"lazaret/platform/trap"
	"lazaret/runsc/control"
	"lazaret/runsc/sandbox"
	"lazaret/runsc/timeline"
	"lazaret/sentry/fs/hostfile"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/syscalls"
)

// memfileSize is how large the memory file may grow: sparse, it costs nothing.
const memfileSize = 1 << 46

// maxThreads bounds the host threads: every application thread has one.
const maxThreads = 100_000

// flushLimit bounds how long answers keep an ended sandbox.
const flushLimit = time.Second

// Main is the whole life of the re-executed Sentry. It does not return.
func Main() {
	cfg, err := sandbox.ReadBootConfig()
	if err != nil {
		fmt.Fprintf(os.Stderr, "boot: %v\n", err)
		os.Exit(1)
	}
	debug.SetMaxThreads(maxThreads)
	startHeapPacer()
	if n := len(cfg.Host.CPUs); n > 0 {
		runtime.GOMAXPROCS(n)
	}
	s, err := start(cfg)
	if err != nil {
		cfg.Fail(err)
	}
	timeline.Mark("sealed")
	srv := control.NewServer(cfg.ControlFD, s)
	if err := cfg.Ready(); err != nil {
		cfg.Fail(err)
	}
	sandbox.Settle()
	go func() {
		if err := srv.Serve(); err != nil {
			fmt.Fprintf(os.Stderr, "boot: %v\n", err)
			s.exit(1)
		}
	}()
	code := <-s.done
	timeline.Mark("all containers ended")
	s.drainNetwork()
	srv.Flush(flushLimit)
	os.Exit(code)
}

// start brings the kernel up, confined, with the first container ready to be created.
func start(cfg *sandbox.BootConfig) (*Sentry, error) {
	if err := sandbox.ConfineSentry(cfg); err != nil {
		return nil, err
	}
	timeline.Mark("confined")
	mf, err := memfile.New("lazaret", memfileSize)
	if err != nil {
		return nil, fmt.Errorf("make the memory file: %w", err)
	}
	p, err := startPlatform(cfg)
	if err != nil {
		return nil, err
	}
	timeline.Mark("platform up")
	n, err := hostfile.NewNotifier()
	if err != nil {
		return nil, fmt.Errorf("start the notifier of donated files: %w", err)
	}
	s := newSentry(cfg, mf, n)
	s.platform = p
	s.k = kernel.New(kernel.Config{
		Platform: p, MemFile: mf, Syscalls: s.table, Namespaces: s, CPUs: len(cfg.Host.CPUs),
		MaxTasks: min(cfg.Host.MaxTasks, 32768),
	})
	if err := s.registerFileSystems(); err != nil {
		return nil, err
	}
	timeline.Mark("kernel and file systems made")
	if err := s.startVDSO(); err != nil {
		return nil, err
	}
	timeline.Mark("vDSO measured")
	s.followWindow()
	if err := sandbox.SealSentry(cfg); err != nil {
		return nil, err
	}
	return s, nil
}

// startPlatform starts the platform that was asked for, or ptrace where the host lacks
// what it needs.
func startPlatform(cfg *sandbox.BootConfig) (platform.Platform, error) {
	if strings.EqualFold(cfg.Flags.Platform, "trap") {
		p, err := trap.New()
		if !errors.Is(err, platform.ErrUnsupported) {
			return p, err
		}
		fmt.Fprintf(os.Stderr, "the trap platform does not work here, using ptrace: %v\n", err)
		cfg.Flags.Platform = "ptrace"
	}
	p, err := ptrace.New()
	if err != nil {
		return nil, fmt.Errorf("start the ptrace platform: %w", err)
	}
	return p, nil
}

func newSentry(cfg *sandbox.BootConfig, mf *memfile.File, n *hostfile.Notifier) *Sentry {
	s := &Sentry{
		cfg: cfg, mf: mf, notifier: n, table: syscalls.New(), done: make(chan int, 1), containers: map[string]*container{},
		straceOut: os.Stderr,
	}
	if cfg.Flags.DebugLog == "" {
		s.straceOut = &boundedLog{f: os.Stderr, limit: maxLog}
	}
	if cfg.StraceFD >= 0 {
		s.straceOut = os.NewFile(uintptr(cfg.StraceFD), "strace log")
	}
	if cfg.Flags.Strace {
		s.straceOn()
	}
	return s
}

var errNoContainer = errors.New("container does not exist")
