package syscalls

import (
	"encoding/binary"
	"testing"
	"unicode"
	"unicode/utf8"

	"lazaret/platform"
	"lazaret/sentry/auth"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/kernel"
	"lazaret/sentry/memfile"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// idlePlatform is a platform on which nothing runs.
type idlePlatform struct{}

func (idlePlatform) NewAddressSpace() (platform.AddressSpace, error) { return idleSpace{}, nil }
func (idlePlatform) NewContext() platform.Context                    { return nil }
func (idlePlatform) UserRange() abi.AddrRange {
	return abi.AddrRange{Start: 1 << 16, End: 0x7ffffffff000}
}
func (idlePlatform) Close() {}

type idleSpace struct{}

func (idleSpace) Map(abi.AddrRange, int, int64, platform.Access) error { return nil }
func (idleSpace) Unmap(abi.AddrRange) error                            { return nil }
func (idleSpace) Protect(abi.AddrRange, platform.Access) error         { return nil }
func (s idleSpace) Fork() (platform.AddressSpace, error)               { return s, nil }
func (idleSpace) Release()                                             {}

// tracedBase is where a traced task has two pages of memory.
const tracedBase = abi.Addr(0x10000000)

// tracedTask is a task that does nothing but have memory.
func tracedTask(f *testing.F) *kernel.Task {
	f.Helper()
	mf, err := memfile.New("test", 1<<28)
	must(f, err)
	k := kernel.New(kernel.Config{Platform: idlePlatform{}, MemFile: mf, CPUs: 1})
	acct := &memfile.Account{}
	c, err := k.NewContainer("c", acct, nil)
	must(f, err)
	creds := &auth.Creds{UserNS: k.RootUserNS, Permitted: auth.AllCaps, Effective: auth.AllCaps}
	ctx := &vfs.Context{Creds: creds, Account: acct, Clock: k.Clock, MaxFileSize: ^uint64(0)}
	super, err := tmpfs.New(mf).NewSuper(ctx, &vfs.MountSpec{})
	must(f, err)
	mnt, err := vfs.NewMountNamespace(super, "root", 0, k.RootUserNS)
	must(f, err)
	m, err := mm.New(k.Platform, mf, acct)
	must(f, err)
	_, err = m.MMap(mm.MapOpts{Addr: tracedBase, Len: 2 * abi.PageSize, Prot: platform.Read | platform.Write, Fixed: true})
	must(f, err)
	ipc, err := k.NewIPC(k.RootUserNS)
	must(f, err)
	net, err := k.NewNet(k.RootUserNS, nil)
	must(f, err)
	t, err := k.NewProcess(&kernel.ProcessArgs{
		Container: c, FS: vfs.NewFSInfo(mnt.Root(), mnt.Root(), 0), Files: vfs.NewFDTable(0), Limits: kernel.DefaultLimits(),
		Namespaces: &kernel.Namespaces{UTS: k.NewUTS(k.RootUserNS, "box", ""), IPC: ipc, Net: net, Mnt: k.NewMnt(k.RootUserNS, mnt),
			Cgroup: k.RootCgroupNS, Time: k.RootTimeNS, PIDChildren: c.PIDNS()},
		Image: &kernel.Image{MM: m, Name: "/bin/prog", Creds: creds},
	})
	must(f, err)
	return t
}

func must(f *testing.F, err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// maxTraceLine bounds a line: six strings, each byte of them shown as \x00.
const maxTraceLine = 6*(4*tracePath+8) + 200

// FuzzStrace: whatever the application hands over, a line of strace is short, printable
// and one line.
func FuzzStrace(f *testing.F) {
	task := tracedTask(f)
	table := New()
	nrs := []uint64{abi.SYS_OPENAT, abi.SYS_READ, abi.SYS_WRITE, abi.SYS_EXECVE, abi.SYS_KILL, abi.SYS_MMAP, abi.SYS_CLONE, 9999}
	for i, nr := range nrs {
		args := make([]byte, 6*8)
		for j := range 6 {
			binary.LittleEndian.PutUint64(args[8*j:], uint64(tracedBase)+uint64(i*j))
		}
		f.Add(uint16(nr), args, []byte("/etc/passwd\x00\x1b[2Jé\xff\n"), uint64(i), int32(i-1))
	}
	f.Fuzz(func(t *testing.T, nr uint16, rawArgs, memory []byte, n uint64, errno int32) {
		var a abi.Args
		for i := range a {
			var b [8]byte
			copy(b[:], rawArgs[min(8*i, len(rawArgs)):])
			a[i] = binary.LittleEndian.Uint64(b[:])
		}
		// At the end of what is mapped, too: strings that run into a hole.
		memory = memory[:min(len(memory), abi.PageSize)]
		if err := task.MM().CopyOut(tracedBase, memory); err != nil {
			t.Fatal(err)
		}
		if err := task.MM().CopyOut(tracedBase+2*abi.PageSize-abi.Addr(len(memory)), memory); err != nil {
			t.Fatal(err)
		}
		r := table.Lookup(uint64(nr))
		line := appendArgs(nil, task, r, &a)
		var err error
		if errno > 0 {
			err = abi.Errno(errno)
		} else if r != nil {
			line, _ = appendReceived(line, task, r, &a, n)
		}
		line = appendResult(line, r, n, err)
		if len(line) > 2*maxTraceLine || !utf8.Valid(line) {
			t.Errorf("call %d: %d bytes: %q", nr, len(line), line)
		}
		for _, c := range string(line) {
			if !unicode.IsPrint(c) {
				t.Errorf("call %d: %q has %q", nr, line, c)
			}
		}
	})
}
