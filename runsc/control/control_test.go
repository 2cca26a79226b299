package control

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// fakeSentry records calls and answers as told.
type fakeSentry struct {
	mu      sync.Mutex
	signals []SignalArgs
	created []string

	err     error
	exited  chan ExitStatus
	waiting func()   // called when a Wait has come
	content []string // what the donated files held
	text    string
}

func (f *fakeSentry) Create(a *CreateArgs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range a.Files {
		b, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			return err
		}
		f.content = append(f.content, string(b))
	}
	f.created = append(f.created, a.ID)
	return f.err
}
func (f *fakeSentry) Start(string) error   { return f.err }
func (f *fakeSentry) Destroy(string) error { return f.err }
func (f *fakeSentry) Shutdown() error      { return f.err }
func (f *fakeSentry) Pause(string) error   { return f.err }
func (f *fakeSentry) Resume(string) error  { return f.err }
func (f *fakeSentry) Exec(a *ExecArgs) (int32, error) {
	closeFiles(a.Files)
	return 7, f.err
}
func (f *fakeSentry) Wait(ctx context.Context, a *WaitArgs) (ExitStatus, error) {
	if f.waiting != nil {
		f.waiting()
	}
	select {
	case s := <-f.exited:
		return s, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
func (f *fakeSentry) Signal(a *SignalArgs) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signals = append(f.signals, *a)
	return f.err
}
func (f *fakeSentry) Resize(*ResizeArgs) error { return f.err }
func (f *fakeSentry) Processes(string) ([]Process, error) {
	return []Process{{PID: 1, Cmd: "sh\x1b[2J -c x"}}, f.err
}
func (f *fakeSentry) Stats(string) (*Stats, error)          { return &Stats{Pids: 3}, f.err }
func (f *fakeSentry) State(string) (ContainerStatus, error) { return StatusRunning, f.err }
func (f *fakeSentry) Update(*UpdateArgs) error              { return f.err }
func (f *fakeSentry) Attach(*AttachArgs) error              { return f.err }
func (f *fakeSentry) Debug(a *DebugArgs) (string, error)    { return f.text, f.err }
func (f *fakeSentry) signalled() []SignalArgs {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]SignalArgs(nil), f.signals...)
}

func serve(t *testing.T, f *fakeSentry) *Client {
	t.Helper()
	// Longer than a socket address may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 30))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(int(l.Fd()), f)
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	c := &Client{Dir: dir, Timeout: 10 * time.Second}
	t.Cleanup(func() {
		s.Stop()
		_, _ = c.State("x") // wakes accept
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	return c
}

func TestMethods(t *testing.T) {
	f := &fakeSentry{exited: make(chan ExitStatus, 1), text: "a\x1b]0;evil\x07\tb\n"}
	c := serve(t, f)
	if err := c.Create(&CreateArgs{ID: "c1", Spec: json.RawMessage(`{}`)}); err != nil {
		t.Error("create:", err)
	}
	for name, call := range map[string]func() error{
		"start":    func() error { return c.Start(context.Background(), "c1") },
		"pause":    func() error { return c.Pause("c1") },
		"resume":   func() error { return c.Resume("c1") },
		"destroy":  func() error { return c.Destroy("c1") },
		"shutdown": func() error { return c.Shutdown() },
		"resize":   func() error { return c.Resize(&ResizeArgs{ID: "c1", Cols: 80, Rows: 25}) },
		"update":   func() error { return c.Update(&UpdateArgs{ID: "c1"}) },
		"attach":   func() error { return c.Attach(&AttachArgs{ID: "c1"}) },
	} {
		if err := call(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if pid, err := c.Exec(&ExecArgs{ID: "c1"}); pid != 7 || err != nil {
		t.Errorf("exec = %d, %v", pid, err)
	}
	if st, err := c.Stats("c1"); err != nil || st.Pids != 3 {
		t.Errorf("stats = %v, %v", st, err)
	}
	if s, err := c.State("c1"); err != nil || s != StatusRunning {
		t.Errorf("state = %v, %v", s, err)
	}
	ps, err := c.Processes("c1")
	if err != nil || len(ps) != 1 || strings.ContainsRune(ps[0].Cmd, 0x1b) {
		t.Errorf("processes = %+v, %v", ps, err)
	}
	if text, err := c.Debug(&DebugArgs{ID: "c1", Kind: DebugStacks}); err != nil || text != "a]0;evil\tb\n" {
		t.Errorf("debug = %q, %v", text, err)
	}
	f.exited <- 9
	if s, err := c.Wait(context.Background(), &WaitArgs{ID: "c1"}); err != nil || s.Code() != 137 {
		t.Errorf("wait = %v, %v", s.Code(), err)
	}
}

func TestErrorsTravel(t *testing.T) {
	c := serve(t, &fakeSentry{err: fmt.Errorf("no such\nprocess: %w", unix.ESRCH)})
	err := c.Signal(&SignalArgs{ID: "c1", Signal: 9})
	var remote *RemoteError
	if !errors.As(err, &remote) || !errors.Is(err, unix.ESRCH) {
		t.Fatalf("error = %v, want a RemoteError of ESRCH", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error %q has more than one line", err)
	}
	c = serve(t, &fakeSentry{err: fmt.Errorf("make the mount point: %w", abi.ENOTDIR)})
	err = c.Signal(&SignalArgs{ID: "c1", Signal: 9})
	if err == nil || err.Error() != "make the mount point: not a directory" || !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("error = %v, want one in words", err)
	}
}

func TestFilesTravel(t *testing.T) {
	f := &fakeSentry{}
	c := serve(t, f)
	var files []*os.File
	for i := range 4 {
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte{'a' + byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
	}
	big, _ := json.Marshal(strings.Repeat("x", 3<<20))
	if err := c.Create(&CreateArgs{ID: "c", Spec: big, HasGofer: true, NumStdio: 3, Files: files}); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	got := strings.Join(f.content, "")
	f.mu.Unlock()
	if got != "abcd" {
		t.Errorf("files held %q, want abcd", got)
	}
	if err := c.Create(&CreateArgs{ID: "d", HasGofer: true, NumStdio: 3, Files: files[:2]}); err == nil {
		t.Error("a create that lacks files was accepted")
	}
	if _, err := c.Exec(&ExecArgs{ID: "d", NumStdio: 2, Files: files[:2]}); err == nil {
		t.Error("an exec with two stdio files was accepted")
	}
}

func TestWaiterGoneKills(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &fakeSentry{exited: make(chan ExitStatus), waiting: cancel}
	c := serve(t, f)
	_, err := c.Wait(ctx, &WaitArgs{ID: "c1", PID: 5, KillOnHangup: true})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("wait = %v, want cancelled", err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(f.signalled()) == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if got := f.signalled(); len(got) != 1 || got[0] != (SignalArgs{ID: "c1", PID: 5, Signal: 9}) {
		t.Errorf("signals = %v, want SIGKILL to 5", got)
	}
}

// hostile answers each connection with raw bytes; nil means to stay silent.
func hostile(t *testing.T, answer []byte) *Client {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				if answer == nil {
					_, _ = io.Copy(io.Discard, conn)
					return
				}
				_, _ = conn.Write(answer)
				_, _ = conn.Read(make([]byte, 1<<16))
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return &Client{Dir: dir, Timeout: 20 * time.Second}
}

func frame(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestHostileSentry(t *testing.T) {
	for name, tc := range map[string]struct {
		answer []byte
		dead   bool
	}{
		"silent":          {nil, true},
		"closes":          {[]byte{}, true},
		"short header":    {[]byte{0, 0}, true},
		"huge length":     {[]byte{0xff, 0xff, 0xff, 0xff}, true},
		"truncated":       {[]byte{0, 0, 0, 9, '{'}, true},
		"not JSON":        {frame("hello"), false},
		"wrong type":      {frame(`{"result":"many"}`), false},
		"no result":       {frame(`{}`), false},
		"negative pid":    {frame(`{"result":-4}`), false},
		"pid out of type": {frame(`{"result":99999999999}`), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := hostile(t, tc.answer)
			if tc.dead { // there is no whole answer to wait for
				c.Timeout = 200 * time.Millisecond
			}
			_, err := c.Exec(&ExecArgs{ID: "x"})
			if err == nil {
				t.Fatal("a hostile answer was believed")
			}
			if errors.Is(err, ErrDead) != tc.dead {
				t.Errorf("error %q: dead = %v, want %v", err, !tc.dead, tc.dead)
			}
		})
	}
	c := hostile(t, frame(`{"result":4294967295}`))
	if _, err := c.Wait(context.Background(), &WaitArgs{}); err == nil {
		t.Error("an impossible wait status was believed")
	}
	c = hostile(t, frame(`{"result":"flying"}`))
	if _, err := c.State("x"); err == nil {
		t.Error("an unknown state was believed")
	}
	c = hostile(t, frame(`{"error":"`+strings.Repeat("e", 1<<20)+`"}`))
	if err := c.Pause("x"); err == nil || len(err.Error()) > 2*maxErrorText {
		t.Error("an endless error text was passed on")
	}
}

func TestNoSandbox(t *testing.T) {
	c := &Client{Dir: t.TempDir()}
	if _, err := c.State("x"); !errors.Is(err, ErrDead) || !errors.Is(err, unix.ENOENT) {
		t.Errorf("error = %v, want ErrDead of ENOENT", err)
	}
}

// A runsc that dies at any byte of a request must not hurt the server.
func TestHostileCaller(t *testing.T) {
	c := serve(t, &fakeSentry{})
	for _, raw := range [][]byte{
		{}, {0}, {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, frame("x"), frame(`{"method":"nope"}`),
		frame(`{"method":"signal","args":[]}`), frame(`{"method":"create"}`)[:9],
	} {
		conn, err := net.Dial("unix", relative(t, filepath.Join(c.Dir, SocketName)))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write(raw)
		conn.Close()
	}
	if _, err := c.State("x"); err != nil {
		t.Errorf("server is gone: %v", err)
	}
}

func relative(t *testing.T, path string) string {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
}

func FuzzDispatch(f *testing.F) {
	f.Add([]byte(`{"method":"create","args":{"id":"x","numStdio":3}}`))
	f.Add([]byte(`{"method":"exec","args":{"id":"x","numStdio":0}}`))
	f.Add([]byte(`{"method":"state","args":{"id":"x"}}`))
	f.Add([]byte(`{"method":"debug","args":{"kind":"stacks"}}`))
	s := NewServer(-1, &fakeSentry{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Fuzz(func(t *testing.T, body []byte) {
		if s.dispatch(ctx, body, nil) == nil {
			t.Error("no answer")
		}
	})
}
