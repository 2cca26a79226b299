package sys

import (
	"os"
	"strings"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/fs/proc"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

type fakeMemory struct{}

func (fakeMemory) Memory(*vfs.Context) (total, free uint64) { return 4 << 30, 1 << 30 }

func newRoot(t *testing.T, cpus int) (*vfs.Context, vfs.Path) {
	t.Helper()
	typ := &Type{info: proc.HostInfo{CPUs: cpus}, memory: fakeMemory{}}
	u := auth.NewInitial()
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: u, Effective: auth.AllCaps}, MaxFileSize: ^uint64(0)}
	s, err := typ.NewSuper(ctx, &vfs.MountSpec{})
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := typ.NewSuper(ctx, &vfs.MountSpec{}); again != s {
		t.Error("a second mount has another instance")
	}
	ns, err := vfs.NewMountNamespace(s, "sysfs", 0, u)
	if err != nil {
		t.Fatal(err)
	}
	ctx.FS = vfs.NewFSInfo(ns.Root(), ns.Root(), 0o22)
	return ctx, ns.Root()
}

func read(t *testing.T, ctx *vfs.Context, root vfs.Path, name string) string {
	t.Helper()
	f, err := vfs.OpenAt(ctx, root, name, vfs.OpenHow{Flags: abi.O_RDONLY})
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	defer f.DecRef()
	b := make([]byte, abi.PageSize)
	n, err := f.Read(ctx, uio.One(b))
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return string(b[:n])
}

func TestFiles(t *testing.T) {
	ctx, root := newRoot(t, 70)
	for name, want := range map[string]string{
		"/devices/system/cpu/online":                            "0-69\n",
		"/devices/system/cpu/cpu65/topology/thread_siblings":    "02,00000000,00000000\n",
		"/devices/system/cpu/cpu65/topology/core_siblings_list": "0-69\n",
		"/devices/system/node/node0/cpumap":                     "3f,ffffffff,ffffffff\n",
		"/bus/cpu/devices/cpu3/topology/core_id":                "3\n",
		"/devices/system/node/node0/cpu1/node0/distance":        "10\n",
		"/kernel/mm/transparent_hugepage/hpage_pmd_size":        "2097152\n",
		"/class/net/lo/mtu":                                     "65536\n",
		"/devices/system/cpu/cpu0/cache/index0/shared_cpu_list": "0\n",
		"/devices/system/cpu/cpu0/cache/index3/shared_cpu_list": "0-69\n",
		"/devices/system/cpu/cpu0/cache/index2/number_of_sets":  "1024\n",
	} {
		if got := read(t, ctx, root, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if s := read(t, ctx, root, "/devices/system/node/node0/meminfo"); !strings.HasPrefix(s, "Node 0 MemTotal:        4194304 kB\nNode 0 MemFree:         1048576 kB\n") {
		t.Errorf("node meminfo:\n%s", s)
	}
}

// TestAsOnHost compares with the host's sysfs: same names and, where the value does not
// depend on the machine, same text.
func TestAsOnHost(t *testing.T) {
	ctx, root := newRoot(t, 2)
	for i := range staticTable {
		e := &staticTable[i]
		fi, err := os.Lstat("/sys/" + e.Path)
		if err != nil || e.Link != "" {
			continue
		}
		if want := e.Mode&abi.S_IFDIR != 0; fi.IsDir() != want {
			t.Errorf("%s: directory on the host: %v", e.Path, fi.IsDir())
		}
	}
	for _, name := range []string{"/devices/system/node/online", "/devices/system/node/node0/distance", "/kernel/cpu_byteorder",
		"/kernel/address_bits", "/kernel/mm/transparent_hugepage/hpage_pmd_size"} {
		b, err := os.ReadFile("/sys" + name)
		if err != nil {
			continue
		}
		if got := read(t, ctx, root, name); got != string(b) {
			t.Errorf("%s: %q, host %q", name, got, b)
		}
	}
}

func TestReadOnly(t *testing.T) {
	ctx, root := newRoot(t, 1)
	if err := vfs.MkdirAt(ctx, root, "/fs/x", 0o755); err != abi.EPERM {
		t.Errorf("mkdir: %v", err)
	}
	f, err := vfs.OpenAt(ctx, root, "/kernel/mm/ksm/run", vfs.OpenHow{Flags: abi.O_WRONLY})
	if err != nil {
		t.Fatal(err)
	}
	defer f.DecRef()
	if _, err := f.Write(ctx, uio.One([]byte("1"))); err != abi.EIO {
		t.Errorf("write: %v", err)
	}
}
