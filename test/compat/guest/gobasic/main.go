package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		child(os.Args[1])
		return
	}
	goroutines()
	timers()
	signals()
	files()
	execs()
	memory()
}

func check(what string, err error) {
	var errno syscall.Errno
	switch {
	case err == nil:
		fmt.Printf("%s: ok\n", what)
	case errors.As(err, &errno):
		fmt.Printf("%s: errno %d\n", what, int(errno))
	default:
		fmt.Printf("%s: %v\n", what, err)
	}
}

func goroutines() {
	fmt.Println("## goroutines")
	var sum atomic.Int64
	var wg sync.WaitGroup
	for i := range 2000 {
		wg.Go(func() {
			runtime.Gosched()
			sum.Add(int64(i))
		})
	}
	wg.Wait()
	fmt.Println(sum.Load())
	// Goroutines that hold their threads: 32 threads that all sleep in the kernel.
	var started sync.WaitGroup
	release := make(chan struct{})
	tids := make(chan int, 32)
	started.Add(32)
	for range 32 {
		wg.Go(func() {
			runtime.LockOSThread() // ends the thread with the goroutine
			started.Done()
			<-release
			tids <- syscall.Gettid()
			time.Sleep(time.Millisecond)
		})
	}
	started.Wait()
	close(release)
	wg.Wait()
	close(tids)
	distinct := map[int]bool{}
	for tid := range tids {
		distinct[tid] = true
	}
	fmt.Println("threads:", len(distinct))
	// A loop without calls is preempted by a signal.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var stop atomic.Bool
	go func() {
		time.Sleep(10 * time.Millisecond)
		stop.Store(true)
	}()
	for n := 0; !stop.Load(); n++ {
	}
	fmt.Println("preempted")
}

func timers() {
	fmt.Println("## timers")
	var order []int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, d := range []int{60, 20, 40} {
		wg.Go(func() {
			time.Sleep(time.Duration(d) * time.Millisecond)
			mu.Lock()
			order = append(order, d)
			mu.Unlock()
		})
	}
	wg.Wait()
	fmt.Println(order)
	tick := time.NewTicker(5 * time.Millisecond)
	for range 5 {
		<-tick.C
	}
	tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println(ctx.Err())
	a := time.Now()
	time.Sleep(5 * time.Millisecond)
	fmt.Println(time.Since(a) >= 5*time.Millisecond, time.Now().After(a))
}

func signals() {
	fmt.Println("## signals")
	c := make(chan os.Signal, 10)
	signal.Notify(c, syscall.SIGUSR1, syscall.SIGHUP)
	for _, s := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
		check("kill", syscall.Kill(os.Getpid(), s))
		fmt.Println(<-c)
	}
	signal.Stop(c)
	signal.Ignore(syscall.SIGUSR2)
	check("ignored", syscall.Kill(os.Getpid(), syscall.SIGUSR2))
	debug.SetPanicOnFault(true)
	func() {
		defer func() { fmt.Println("recovered:", recover() != nil) }()
		var p *int
		*p = 1
	}()
	func() {
		defer func() { fmt.Println("recovered:", recover()) }()
		zero := len(os.Args) - 1
		fmt.Println(1 / zero)
	}()
}

func files() {
	fmt.Println("## files")
	dir, err := os.MkdirTemp(".", "x")
	check("temp", err)
	for i := range 20 {
		check("write", os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d", i)), bytes.Repeat([]byte{byte(i)}, i*1000), 0o644))
	}
	check("mkdir", os.MkdirAll(filepath.Join(dir, "a/b/c"), 0o755))
	check("symlink", os.Symlink("../f03", filepath.Join(dir, "a/link")))
	var names []string
	check("walk", filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, fmt.Sprintf("%s %v", rel, e.Type()))
		}
		return err
	}))
	fmt.Println(len(names), names[:5])
	data, err := os.ReadFile(filepath.Join(dir, "a/link"))
	check("read by link", err)
	fmt.Println(len(data), data[0])
	root, err := os.OpenRoot(dir)
	check("root", err)
	_, err = root.Open("../..")
	fmt.Println("escapes:", err == nil)
	_, err = root.ReadFile("a/link")
	check("inside", err)
	_, err = os.Open("none")
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	f, err := os.OpenFile(filepath.Join(dir, "f00"), os.O_RDWR|os.O_APPEND, 0)
	check("open", err)
	w := bufio.NewWriter(f)
	for i := range 1000 {
		fmt.Fprintln(w, i)
	}
	check("flush", w.Flush())
	check("sync", f.Sync())
	fi, err := f.Stat()
	check("stat", err)
	fmt.Println(fi.Size(), fi.Mode())
	src, err := os.Open(filepath.Join(dir, "f19"))
	check("open", err)
	n, err := io.Copy(f, src) // copy_file_range or splice
	check("copy", err)
	fmt.Println(n)
	check("truncate", f.Truncate(5))
	check("rename", os.Rename(filepath.Join(dir, "f01"), filepath.Join(dir, "a/moved")))
	check("remove", os.RemoveAll(dir))
	_, err = os.Stat(dir)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	r, wp, err := os.Pipe()
	check("pipe", err)
	check("deadline", r.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err = r.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	wp.Close()
	r.Close()
}

func child(what string) {
	switch what {
	case "echo":
		b, _ := io.ReadAll(os.Stdin)
		fmt.Printf("%s", strings.ToUpper(string(b)))
	case "fail":
		fmt.Fprintln(os.Stderr, "to stderr")
		os.Exit(42)
	case "sleep":
		time.Sleep(time.Minute)
	case "panic":
		panic("on purpose")
	case "env":
		env := os.Environ()
		sort.Strings(env)
		fmt.Println(env)
	case "extra":
		b, err := io.ReadAll(os.NewFile(3, "extra"))
		fmt.Println(string(b), err)
	}
}

func execs() {
	fmt.Println("## exec")
	self, err := os.Executable()
	check("self", err)
	cmd := exec.Command(self, "echo")
	cmd.Stdin = strings.NewReader("through pipes\n")
	out, err := cmd.Output()
	check("echo", err)
	fmt.Printf("%q\n", out)
	out, err = exec.Command(self, "fail").CombinedOutput()
	fmt.Printf("%q %v\n", out, err)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(ctx, self, "sleep").Run())
	out, err = exec.Command(self, "panic").CombinedOutput()
	fmt.Println(strings.Contains(string(out), "on purpose"), err)
	cmd = exec.Command(self, "env")
	cmd.Env = []string{"A=1", "B=2"}
	out, err = cmd.Output()
	fmt.Printf("%q %v\n", out, err)
	r, w, err := os.Pipe()
	check("pipe", err)
	cmd = exec.Command(self, "extra")
	cmd.ExtraFiles = []*os.File{r}
	fmt.Fprint(w, "inherited")
	w.Close()
	out, err = cmd.Output()
	fmt.Printf("%q %v\n", out, err)
	fmt.Println(exec.Command("/none/there").Run())
	cmd = exec.Command(self, "sleep")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	check("start", cmd.Start())
	check("signal", cmd.Process.Signal(syscall.SIGTERM))
	fmt.Println(cmd.Wait())
	cmd = exec.Command(self, "echo")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}, Chroot: "/none"}
	check("chroot that is not there", cmd.Start())
	var wg sync.WaitGroup
	var good atomic.Int32
	for range 20 {
		wg.Go(func() {
			c := exec.Command(self, "echo")
			c.Stdin = strings.NewReader("x")
			if b, err := c.Output(); err == nil && string(b) == "X" {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Println(good.Load())
}

func memory() {
	fmt.Println("## memory")
	var keep [][]byte
	for i := range 50 {
		b := make([]byte, 1<<20)
		for j := 0; j < len(b); j += 4096 {
			b[j] = byte(i)
		}
		if i%10 == 0 {
			keep = append(keep, b)
		}
	}
	runtime.GC()
	debug.FreeOSMemory()
	ok := true
	for i, b := range keep {
		ok = ok && b[4096] == byte(i*10)
	}
	fmt.Println(ok)
	m, err := syscall.Mmap(-1, 0, 1<<16, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	check("mmap", err)
	m[100] = 7
	check("munmap", syscall.Munmap(m))
}
