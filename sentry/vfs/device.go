package vfs

import (
	"sync"

	"lazaret/syscalls/abi"
)

// DeviceOpener opens the files of a device driver.
type DeviceOpener interface {
	OpenDevice(ctx *Context, f *File, major, minor uint32) (FileOps, error)
}

// AnyMinor registers all minors of a major that have no opener of their own.
const AnyMinor = ^uint32(0)

type deviceKey struct{ kind, major, minor uint32 }

var devices struct {
	sync.RWMutex
	m    map[deviceKey]DeviceOpener
	fifo FIFOOpener
}

// RegisterDevice makes o open the devices of kind (S_IFCHR or S_IFBLK), major and minor.
func RegisterDevice(kind, major, minor uint32, o DeviceOpener) {
	devices.Lock()
	defer devices.Unlock()
	if devices.m == nil {
		devices.m = make(map[deviceKey]DeviceOpener)
	}
	devices.m[deviceKey{kind, major, minor}] = o
}

// FIFOSlot holds the state that a FIFO's opener keeps for an inode. It lives as long as
// the VFS knows the inode, at least as long as an open file of it.
type FIFOSlot struct {
	Mu    sync.Mutex
	State any
}

// FIFOOpener opens FIFOs of all file systems. It may sleep (ctx.Sleeper) until the other
// side opens, with no lock held.
type FIFOOpener interface {
	OpenFIFO(ctx *Context, f *File, slot *FIFOSlot) (FileOps, error)
}

// RegisterFIFO makes o open FIFOs.
func RegisterFIFO(o FIFOOpener) {
	devices.Lock()
	devices.fifo = o
	devices.Unlock()
}

// SpecialOpener is an Inode that opens itself although it is a device, FIFO or socket.
type SpecialOpener interface {
	OpensSpecial() bool
}

func mayUseDevice(p Path) bool {
	return p.Mount == nil || p.Mount.Flags()&abi.MS_NODEV == 0
}

func openDevice(ctx *Context, f *File) (FileOps, error) {
	a, err := f.Inode.Attr(ctx, 0)
	if err != nil {
		return nil, err
	}
	k := deviceKey{a.Type(), a.RdevMajor, a.RdevMinor}
	devices.RLock()
	o := devices.m[k]
	if o == nil {
		k.minor = AnyMinor
		o = devices.m[k]
	}
	devices.RUnlock()
	if o == nil {
		return nil, abi.ENXIO
	}
	return o.OpenDevice(ctx, f, a.RdevMajor, a.RdevMinor)
}

func openFIFO(ctx *Context, f *File) (FileOps, error) {
	devices.RLock()
	o := devices.fifo
	devices.RUnlock()
	if o == nil {
		return nil, abi.ENXIO
	}
	f.Mode |= ModeStream | ModeAsync
	return o.OpenFIFO(ctx, f, &f.Path.Dentry.state.extension().fifo)
}
