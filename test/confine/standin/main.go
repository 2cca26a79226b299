package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/sandbox"
)

// Annotations that tell the stand-in's Sentry what to do.
const (
	annotAttempt = "standin.attempt" // name in attempts
	annotFail    = "standin.fail"    // fail with this text before ready
	annotPanic   = "standin.panic"   // panic before ready
	annotStubs   = "standin.stubs"   // exercise the ptrace platform before ready
	annotStall   = "standin.stall"   // never get ready: "sentry"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "standin: no command")
		os.Exit(2)
	}
	switch os.Args[1] {
	case sandbox.BootCommand:
		boot()
	case sandbox.GoferCommand:
		gofer()
	case "start":
		start()
	case "attempts":
		for name := range attempts() {
			fmt.Println(name)
		}
		for name := range archAttempts() {
			fmt.Println(name)
		}
	}
}

func boot() {
	cfg, err := sandbox.ReadBootConfig()
	if err != nil {
		os.Exit(1)
	}
	spec, err := cfg.Spec()
	if err != nil {
		cfg.Fail(err)
	}
	notes := spec.Annotations
	if text := notes[annotFail]; text != "" {
		cfg.Fail(fmt.Errorf("%s", text))
	}
	if notes[annotPanic] != "" {
		panic("standin panics")
	}
	if notes[annotStall] != "" {
		time.Sleep(time.Hour)
	}
	if _, err := sandbox.FilterFor(&cfg.Flags); err != nil {
		cfg.Fail(err)
	}
	if err := sandbox.ConfineSentry(cfg); err != nil {
		cfg.Fail(err)
	}
	var s *stubs
	if notes[annotStubs] != "" {
		if s, err = newStubs(); err != nil {
			cfg.Fail(err)
		}
	}
	if err := sandbox.SealSentry(cfg); err != nil {
		cfg.Fail(err)
	}
	if s != nil {
		if err := s.exercise(); err != nil {
			cfg.Fail(err)
		}
	}
	if err := cfg.Ready(); err != nil {
		os.Exit(1)
	}
	if name := notes[annotAttempt]; name != "" {
		attempt(cfg, name)
	}
	work()
}

// work is what any Go program does: it starts threads, collects and sleeps. The base
// policy must be enough for it.
func work() {
	for range 8 {
		go func() {
			runtime.LockOSThread() // so that it needs a thread of its own, which ends with it
			var b [16]byte
			_, _ = rand.Read(b[:]) // the vDSO's getrandom maps memory in its own way
			time.Sleep(time.Millisecond)
		}()
	}
	for i := 0; ; i++ {
		buf := make([]byte, 1<<20)
		buf[i%len(buf)] = 1
		if i%64 == 0 {
			runtime.GC()
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// start is a runsc of its own that can be killed: it starts the sandbox described on
// stdin, prints the pids and waits; "detach" on the command line lets go first.
func start() {
	var cfg sandbox.Config
	var in struct {
		ID, StateDir, Bundle string
		Spec                 *specs.Spec
	}
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	cfg.ID, cfg.StateDir, cfg.Bundle, cfg.Spec = in.ID, in.StateDir, in.Bundle, in.Spec
	cfg.JoinCgroup = func(pid int) error { fmt.Println("pid", pid); return nil }
	sb, err := sandbox.Start(&cfg)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	if strings.Join(os.Args[2:], " ") == "detach" {
		if err := sb.Detach(); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("detached", sb.SentryPID, sb.GoferPID)
		os.Exit(0)
	}
	fmt.Println("started", sb.SentryPID, sb.GoferPID)
	time.Sleep(time.Hour)
}
