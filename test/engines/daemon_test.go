package engines

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// must runs a command that has to succeed and returns what it printed.
func must(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// daemon is a server that the tests started.
type daemon struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

var (
	daemonsMu sync.Mutex
	daemons   []*daemon
)

// startDaemon starts a server and waits until ready says that it serves.
func startDaemon(t *testing.T, ready func() error, argv ...string) *daemon {
	t.Helper()
	d := &daemon{cmd: exec.Command(argv[0], argv[1:]...), log: filepath.Join(work, filepath.Base(argv[0])+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	d.cmd.Stdout, d.cmd.Stderr = log, log
	// Of this process's session, so that reapOrphans leaves it alone.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = d.cmd.Wait(); close(d.done) }()
	daemonsMu.Lock()
	daemons = append(daemons, d)
	daemonsMu.Unlock()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := ready()
		if err == nil {
			return d
		}
		select {
		case <-d.done:
			t.Fatalf("%s ended:\n%s", argv[0], d.tail())
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not serve: %v\n%s", argv[0], err, d.tail())
		}
	}
}

// tail is the end of the server's log.
func (d *daemon) tail() string {
	data, _ := os.ReadFile(d.log)
	if n := len(data); n > 4000 {
		data = data[n-4000:]
	}
	return string(data)
}

// stop ends the server in its own way, or by force.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(unix.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(15 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.done
	}
}

// stopDaemons ends what still serves, the last started first.
func stopDaemons() {
	daemonsMu.Lock()
	defer daemonsMu.Unlock()
	for i := len(daemons) - 1; i >= 0; i-- {
		daemons[i].stop()
	}
	daemons = nil
}
