package cgroup

import (
	"strings"
	"testing"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

type bootSleeper struct {
	wait.Sleeper
	c *kernel.Container
}

func (b bootSleeper) Container() *kernel.Container { return b.c }

type noPlatform struct{ platform.Platform }

type quota struct{}

func (quota) CgroupFile(name string) (string, bool) { return "50000 100000", name == "cpu.max" }

func TestFiles(t *testing.T) {
	mf, err := memfile.New("test", 1<<26)
	if err != nil {
		t.Fatal(err)
	}
	k := kernel.New(kernel.Config{Platform: noPlatform{}, MemFile: mf, CPUs: 2})
	defer k.Close()
	acct := &memfile.Account{}
	acct.SetLimit(1 << 30)
	if err := acct.Charge(8192); err != nil {
		t.Fatal(err)
	}
	c, err := k.NewContainer("c", acct, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Data = quota{}
	c.SetMaxTasks(77)
	typ := Register(k)
	u := k.RootUserNS
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: u, Effective: auth.AllCaps}, MaxFileSize: ^uint64(0)}
	if _, err := typ.NewSuper(ctx, &vfs.MountSpec{}); err != abi.EPERM {
		t.Errorf("mount without a container: %v", err)
	}
	ctx.Sleeper = bootSleeper{kernel.NewOutsideSleeper(), c}
	s, err := typ.NewSuper(ctx, &vfs.MountSpec{})
	if err != nil {
		t.Fatal(err)
	}
	ns, err := vfs.NewMountNamespace(s, "cgroup", 0, u)
	if err != nil {
		t.Fatal(err)
	}
	ctx.FS = vfs.NewFSInfo(ns.Root(), ns.Root(), 0o22)
	for name, want := range map[string]string{
		"memory.max": "1073741824\n", "memory.current": "8192\n", "memory.peak": "8192\n", "cpu.max": "50000 100000\n",
		"cpu.weight": "100\n", "pids.max": "77\n", "pids.current": "0\n", "cpuset.cpus.effective": "0-1\n", "cgroup.procs": "",
		"memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
	} {
		f, err := vfs.OpenAt(ctx, ns.Root(), name, vfs.OpenHow{Flags: abi.O_RDONLY})
		if err != nil {
			t.Errorf("open %s: %v", name, err)
			continue
		}
		b := make([]byte, 4096)
		n, err := f.Read(ctx, uio.One(b))
		if got := string(b[:n]); got != want || err != nil {
			t.Errorf("%s: %q %v, want %q", name, got, err, want)
		}
		f.DecRef()
	}
	f, err := vfs.OpenAt(ctx, ns.Root(), "memory.max", vfs.OpenHow{Flags: abi.O_WRONLY})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(ctx, uio.One([]byte("max"))); err != abi.EPERM {
		t.Errorf("raise the limit: %v", err)
	}
	f.DecRef()
	if err := vfs.MkdirAt(ctx, ns.Root(), "sub", 0o755); err != abi.EPERM {
		t.Errorf("mkdir: %v", err)
	}
	for i := range table {
		if e := &table[i]; strings.Contains(e.Path, "/") || e.Store == nil && e.Mode != 0 {
			t.Errorf("line %s", e.Path)
		}
	}
}
