package engines

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// typist is a person at a terminal of an engine's client.
type typist struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	seen string
}

// sit starts a shell command at a new terminal of 40 rows and 100 columns.
func sit(t *testing.T, script string, env []string) *typist {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	p := &typist{t: t, master: os.NewFile(uintptr(fd), "ptmx"), cmd: exec.Command("sh", "-c", script)}
	p.size(40, 100)
	p.cmd.Env = append(env, "TERM=xterm")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ownChildren.Lock()
	err = p.cmd.Start()
	if err == nil {
		ownChildren.pids[p.cmd.Process.Pid] = true
	}
	ownChildren.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := p.master.Read(buf)
			p.mu.Lock()
			p.seen += string(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); p.master.Close() })
	return p
}

func (p *typist) size(rows, cols uint16) {
	if err := unix.IoctlSetWinsize(int(p.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *typist) typeText(text string) {
	p.t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits for text on the screen; what came before it is forgotten.
func (p *typist) sees(text string, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); ; {
		p.mu.Lock()
		i := strings.Index(p.seen, text)
		if i >= 0 {
			p.seen = p.seen[i+len(text):]
		}
		p.mu.Unlock()
		if i >= 0 {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *typist) expect(text string) {
	p.t.Helper()
	if !p.sees(text, 30*time.Second) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.t.Fatalf("no %q; on the screen is\n%s", text, p.seen)
	}
}

// ask types a command until its answer comes: what it asks for may take a moment.
func (p *typist) ask(command, answer string) {
	p.t.Helper()
	for range 30 {
		p.typeText(command + "\n")
		if p.sees(answer, time.Second) {
			return
		}
	}
	p.t.Fatalf("%q never says %q; on the screen is\n%s", command, answer, p.seen)
}

// ends waits for the command and returns its status.
func (p *typist) ends() int {
	stop := time.AfterFunc(30*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer stop.Stop()
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// TestTerminals: sizes, their changes, ^C, leaving and coming back, with each engine.
func TestTerminals(t *testing.T) {
	startDocker(t)
	startContainerd(t)
	podman(t)
	for _, e := range []struct {
		name, prelude, exec string
		attach              string // "": the client cannot leave
		run                 string
		code                int // that the last client ends with: podman attach passes none on
	}{
		{"docker", dockerPrelude, "$E exec -it $N sh", "$E attach $N", "run -it $IMG sh", 7},
		{"podman", podmanPrelude, "$E exec -it $N sh", "$E attach $N", "run -it $IMG sh", 0},
		{"ctr", ctrPrelude, "$ctr task exec -t --exec-id x $N sh", "", "run -t $IMG $N sh", 7},
	} {
		for _, r := range []string{"runc", "runsc"} {
			t.Run(e.name+"/"+r, func(t *testing.T) {
				t.Parallel()
				env := append(os.Environ(), "R="+r, "N=tty-"+e.name+"-"+r, "IMG="+imageName, "PARENT="+cgroupParent,
					"RUNTIME="+map[string]string{"runc": "io.containerd.runc.v2", "runsc": "io.containerd.runsc.v1"}[r])
				p := sit(t, e.prelude+"\n"+e.run, env)
				p.expect("#")
				p.ask("stty size", "40 100")
				p.size(50, 120)
				p.ask("stty size", "50 120")
				p.typeText("sleep 1000\n")
				p.expect("sleep 1000")
				time.Sleep(300 * time.Millisecond)
				p.typeText("\x03")
				p.ask("echo status=$?.", "status=")

				x := sit(t, e.prelude+"\n"+e.exec, env)
				x.expect("#")
				x.ask("stty size", "40 100")
				x.size(30, 90)
				x.ask("stty size", "30 90")
				x.typeText("exit 6\n")
				if code := x.ends(); code != 6 {
					t.Errorf("exec ended with %d", code)
				}
				if e.attach != "" {
					p.typeText("\x10") // one at a time, as people type: podman looks at single bytes
					time.Sleep(200 * time.Millisecond)
					p.typeText("\x11")
					if code := p.ends(); code != 0 {
						t.Errorf("leaving ended with %d", code)
					}
					p = sit(t, e.prelude+"\n"+e.attach, env)
					p.ask("echo back=$((1+1)).", "back=2.")
				}
				p.typeText("exit 7\n")
				if code := p.ends(); code != e.code {
					t.Errorf("the container ended with %d", code)
				}
			})
		}
	}
}
