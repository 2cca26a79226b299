package syscalls

import (
	"encoding/binary"

	"lazaret/sentry/fs/anon"
	"lazaret/sentry/fs/tmpfs"
	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/clock"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

var anonRows = []Row{
	partial(abi.SYS_MEMFD_CREATE, "memfd_create", MemfdCreate, "no huge pages", Path, Hex),
	full(abi.SYS_INOTIFY_INIT1, "inotify_init1", InotifyInit1, Hex),
	full(abi.SYS_INOTIFY_ADD_WATCH, "inotify_add_watch", InotifyAddWatch, FD, Path, Hex),
	full(abi.SYS_INOTIFY_RM_WATCH, "inotify_rm_watch", InotifyRmWatch, FD, Int),
	full(abi.SYS_TIMERFD_CREATE, "timerfd_create", TimerfdCreate, Int, Hex),
	full(abi.SYS_TIMERFD_SETTIME, "timerfd_settime", TimerfdSettime, FD, Hex, Buf, Buf),
	full(abi.SYS_TIMERFD_GETTIME, "timerfd_gettime", TimerfdGettime, FD, Buf),
	partial(abi.SYS_SIGNALFD4, "signalfd4", Signalfd4, "readiness is about the process that read last, not the one that polls", FD, Buf, Int, Hex),
}

// memfdName is the longest name of a memfd with its NUL (memfd_create(2)).
const memfdName = 250

// MemfdCreate is memfd_create(2).
func MemfdCreate(t *kernel.Task, a *abi.Args) (uint64, error) {
	fs, ok := vfs.LookupFileSystem("tmpfs").(*tmpfs.Type)
	if !ok {
		return 0, abi.ENOSYS
	}
	name, err := t.MM().CopyInString(a.Addr(0), memfdName)
	if err == abi.ENAMETOOLONG {
		err = abi.EINVAL
	}
	if err != nil {
		return 0, err
	}
	f, err := fs.NewMemfd(t.Ctx(), name, a.Uint(1))
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Uint(1)&abi.MFD_CLOEXEC != 0)
}

// InotifyInit1 is inotify_init1(2).
func InotifyInit1(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Uint(0)&^(abi.IN_CLOEXEC|abi.IN_NONBLOCK) != 0 {
		return 0, abi.EINVAL
	}
	f, err := vfs.NewInotify(t.Ctx(), a.Uint(0)&abi.IN_NONBLOCK)
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Uint(0)&abi.IN_CLOEXEC != 0)
}

// getInotify returns the instance behind fd: EINVAL if it is something else.
func getInotify(t *kernel.Task, fd int32) (*vfs.File, *vfs.Inotify, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	in, ok := f.Ops.(*vfs.Inotify)
	if !ok {
		f.DecRef()
		return nil, nil, abi.EINVAL
	}
	return f, in, nil
}

// InotifyAddWatch is inotify_add_watch(2).
func InotifyAddWatch(t *kernel.Task, a *abi.Args) (uint64, error) {
	const flags = abi.IN_DONT_FOLLOW | abi.IN_EXCL_UNLINK | abi.IN_MASK_ADD | abi.IN_MASK_CREATE | abi.IN_ISDIR | abi.IN_ONESHOT |
		abi.IN_ONLYDIR | abi.IN_UNMOUNT | abi.IN_Q_OVERFLOW | abi.IN_IGNORED
	mask := a.Uint(2)
	if mask&(abi.IN_ALL_EVENTS|flags) == 0 {
		return 0, abi.EINVAL
	}
	f, in, err := getInotify(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	if mask&(abi.IN_MASK_ADD|abi.IN_MASK_CREATE) == abi.IN_MASK_ADD|abi.IN_MASK_CREATE {
		return 0, abi.EINVAL
	}
	name, err := copyPath(t, a.Addr(1))
	if err != nil {
		return 0, err
	}
	lf := vfs.LookupFollow
	if mask&abi.IN_DONT_FOLLOW != 0 {
		lf = 0
	}
	if mask&abi.IN_ONLYDIR != 0 {
		lf |= vfs.LookupDirectory
	}
	p, err := vfs.Lookup(t.Ctx(), t.FS().Cwd(), name, lf)
	if err != nil {
		return 0, err
	}
	return ret32(in.AddWatch(t.Ctx(), p, mask))
}

// InotifyRmWatch is inotify_rm_watch(2).
func InotifyRmWatch(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, in, err := getInotify(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return done0(in.RemoveWatch(a.Int(1)))
}

// timerSource is the kernel's time for timerfds, as the time namespace of their maker
// shows it: anon.Timers.
type timerSource struct {
	k          *kernel.Kernel
	mono, boot int64 // what the namespace adds
}

func (s *timerSource) shift(id int32) int64 {
	switch id {
	case abi.CLOCK_MONOTONIC:
		return s.mono
	case abi.CLOCK_BOOTTIME, abi.CLOCK_BOOTTIME_ALARM:
		return s.boot
	}
	return 0
}

// Now implements anon.Timers.
func (s *timerSource) Now(id int) int64 {
	ns, _ := s.k.Clock.ReadNS(int32(id))
	return ns + s.shift(int32(id))
}

// NewTimer implements anon.Timers.
func (s *timerSource) NewTimer(id int, l anon.TimerListener) anon.Timer {
	f := &fdTimer{queue: s.k.Timers, shift: s.shift(int32(id)), listener: l}
	f.timer = clock.Timer{Owner: f, ClockID: int32(id)}
	return f
}

// fdTimer is a kernel timer for a timerfd: anon.Timer.
type fdTimer struct {
	queue    *clock.Queue
	timer    clock.Timer
	shift    int64
	listener anon.TimerListener
}

// Set implements anon.Timer.
func (f *fdTimer) Set(at int64) { f.queue.SetAbs(&f.timer, max(at-f.shift, 1), 0) }

// Stop implements anon.Timer.
func (f *fdTimer) Stop() { f.queue.SetAbs(&f.timer, 0, 0) }

// TimerFired implements clock.Owner.
func (f *fdTimer) TimerFired(*clock.Timer, uint64) { f.listener.Expire() }

// TimerfdCreate is timerfd_create(2).
func TimerfdCreate(t *kernel.Task, a *abi.Args) (uint64, error) {
	s := &timerSource{k: t.Kernel()}
	s.mono, s.boot = t.Namespaces().Time.Offsets()
	f, err := anon.NewTimerFD(t.Ctx(), s, int(a.Int(0)), a.Uint(1))
	if err != nil {
		return 0, err
	}
	return install(t, f, a.Uint(1)&abi.TFD_CLOEXEC != 0)
}

// getTimerFD returns the timer behind fd: EINVAL if it is something else.
func getTimerFD(t *kernel.Task, fd int32) (*vfs.File, *anon.TimerFD, error) {
	f, err := getIOFile(t, fd)
	if err != nil {
		return nil, nil, err
	}
	tf := anon.TimerFDOf(f)
	if tf == nil {
		f.DecRef()
		return nil, nil, abi.EINVAL
	}
	return f, tf, nil
}

// TimerfdSettime is timerfd_settime(2).
func TimerfdSettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	to, err := copyIn[anon.Itimerspec](t, a.Addr(2))
	if err != nil {
		return 0, err
	}
	f, tf, err := getTimerFD(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	old, err := tf.Set(a.Uint(1), to)
	if err != nil {
		return 0, err
	}
	if addr := a.Addr(3); addr != 0 {
		return done0(copyOut(t, addr, &old))
	}
	return 0, nil
}

// TimerfdGettime is timerfd_gettime(2).
func TimerfdGettime(t *kernel.Task, a *abi.Args) (uint64, error) {
	f, tf, err := getTimerFD(t, a.Int(0))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	now := tf.Get()
	return done0(copyOut(t, a.Addr(1), &now))
}

// signalSource is a task's signals for signalfds: anon.SignalSource.
type signalSource struct{ t *kernel.Task }

// DequeueSignal implements anon.SignalSource.
func (s signalSource) DequeueSignal(set uint64) (anon.SigInfo, bool) {
	info, ok := s.t.DequeueSignal(abi.SigSet(set))
	if !ok {
		return anon.SigInfo{}, false
	}
	return signalfdInfo(&info), true
}

// PendingSignals implements anon.SignalSource.
func (s signalSource) PendingSignals() uint64 {
	// One question for all signals: those of the thread and of the process.
	sets := s.t.SignalSets()
	return uint64(sets.Pending | sets.SharedPending)
}

// SignalQueue implements anon.SignalSource.
func (s signalSource) SignalQueue() *wait.Queue { return s.t.ThreadGroup().SignalQueue() }

// signalFile is a signalfd that gives whoever reads it his own signals.
type signalFile struct{ *anon.SignalFD }

// Read implements vfs.FileOps.
func (s *signalFile) Read(ctx *vfs.Context, f *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	if t, ok := ctx.Sleeper.(*kernel.Task); ok {
		ctx = signalContext(ctx, t)
	}
	return s.SignalFD.Read(ctx, f, dst, pos)
}

// sleepingSource stands in a context, where anon looks for a task's signals.
type sleepingSource struct {
	signalSource
	wait.Sleeper
}

func signalContext(ctx *vfs.Context, t *kernel.Task) *vfs.Context {
	c := *ctx
	c.Sleeper = sleepingSource{signalSource{t}, t}
	return &c
}

// Signalfd4 is signalfd4(2).
func Signalfd4(t *kernel.Task, a *abi.Args) (uint64, error) {
	set, err := copySigset(t, a.Addr(1), a.Size(2))
	if err != nil {
		return 0, err
	}
	return signalfd(t, a.Int(0), set, a.Uint(3))
}

func signalfd(t *kernel.Task, fd int32, set abi.SigSet, flags uint32) (uint64, error) {
	if flags&^(abi.SFD_NONBLOCK|abi.SFD_CLOEXEC) != 0 {
		return 0, abi.EINVAL
	}
	if fd == -1 {
		f, err := anon.NewSignalFD(signalContext(t.Ctx(), t), uint64(set), flags)
		if err != nil {
			return 0, err
		}
		f.Ops = &signalFile{anon.SignalFDOf(f)}
		return install(t, f, flags&abi.SFD_CLOEXEC != 0)
	}
	f, err := getIOFile(t, fd)
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	s, ok := f.Ops.(*signalFile)
	if !ok {
		return 0, abi.EINVAL
	}
	s.SetMask(uint64(set))
	return uint64(fd), nil
}

// signalfdInfo turns a siginfo_t into a struct signalfd_siginfo (signalfd(2)): which
// fields count depends on where the signal came from.
func signalfdInfo(i *abi.Siginfo) anon.SigInfo {
	var b anon.SigInfo
	u32 := func(off int, v uint32) { binary.LittleEndian.PutUint32(b[off:], v) }
	u64 := func(off int, v uint64) { binary.LittleEndian.PutUint64(b[off:], v) }
	u32(0, uint32(i.Signo))
	u32(4, uint32(i.Errno))
	u32(8, uint32(i.Code))
	sender := func() {
		u32(12, uint32(i.PID()))
		u32(16, i.UID())
	}
	value := func() {
		u64(48, i.Value())
		u32(44, uint32(i.Value()))
	}
	fromKernel := i.Code > 0 && i.Code != abi.SI_KERNEL
	switch {
	case i.Code == abi.SI_TIMER:
		u32(24, uint32(i.TimerID()))
		u32(32, uint32(i.Overrun()))
		value()
	case fromKernel && i.Signo == abi.SIGCHLD:
		sender()
		u32(40, uint32(i.Status()))
		u64(56, uint64(i.Utime()))
		u64(64, uint64(i.Stime()))
	case fromKernel && i.Signo == abi.SIGIO:
		u32(28, uint32(i.Band()))
		u32(20, uint32(i.FD()))
	case fromKernel && i.Signo == abi.SIGSYS:
		u64(88, uint64(i.Addr()))
		u32(84, uint32(i.Syscall()))
		u32(96, i.Arch())
	case fromKernel:
		u64(72, uint64(i.Addr()))
	case i.Code < 0 && i.Code != abi.SI_TKILL:
		sender()
		value()
	default:
		sender()
	}
	return b
}
