package ipc

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/sentry/auth"
	"lazaret/sentry/memfile"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

type sleeper chan struct{}

func (s sleeper) Notify(*wait.Entry, wait.Mask) {
	select {
	case s <- struct{}{}:
	default:
	}
}

func (s sleeper) Sleep(deadline time.Time) error {
	if deadline.IsZero() {
		deadline = time.Now().Add(10 * time.Second)
	}
	select {
	case <-s:
		return nil
	case <-time.After(time.Until(deadline)):
		return abi.ETIMEDOUT
	}
}

type world struct {
	t   *testing.T
	ctx *vfs.Context
	ns  *Namespace
	mf  *memfile.File
}

func newWorld(t *testing.T) *world {
	t.Helper()
	mf, err := memfile.New("test", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	user := auth.NewInitial()
	w := &world{t: t, mf: mf, ns: NewNamespace(user, mf)}
	w.ctx = w.as(0)
	t.Cleanup(func() {
		w.ns.Release()
		if u := w.ctx.Account.Used(); u != 0 {
			t.Errorf("%d bytes still charged", u)
		}
		if u := mf.InUse(); u != 0 {
			t.Errorf("%d bytes of memory left", u)
		}
		mf.Close()
	})
	return w
}

func (w *world) as(uid auth.KUID) *vfs.Context {
	c := &auth.Creds{UserNS: w.ns.user, RUID: uid, EUID: uid, FSUID: uid, EGID: auth.KGID(uid), FSGID: auth.KGID(uid)}
	if uid == 0 {
		c.Effective = ^auth.CapSet(0)
	}
	ctx := &vfs.Context{Creds: c, PID: 42, Sleeper: make(sleeper, 1), MaxFileSize: ^uint64(0), Account: &memfile.Account{}}
	if w.ctx != nil {
		ctx.Account = w.ctx.Account
	}
	p := w.ns.mq.path()
	ctx.FS = vfs.NewFSInfo(p, p, 0o22)
	return ctx
}

func text(n int, err error) string {
	if e, ok := err.(unix.Errno); ok {
		return abi.Errno(e).Error()
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(n)
}

func TestSemaphoresAgainstHost(t *testing.T) {
	for seed := range int64(40) {
		rnd := rand.New(rand.NewSource(seed))
		w := newWorld(t)
		const n = 3
		hid, err := hostCall(unix.SYS_SEMGET, 0, n, 0o600, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer hostCall(unix.SYS_SEMCTL, uintptr(hid), 0, abi.IPC_RMID, 0)
		id, err := w.ns.Semget(w.ctx, abi.IPC_PRIVATE, n, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			what, h, o := "", "", ""
			if rnd.Intn(4) == 0 {
				num, val := rnd.Intn(n+1), []int{0, 1, 5, abi.SEMVMX, abi.SEMVMX + 1, -1}[rnd.Intn(6)]
				what = fmt.Sprintf("SETVAL %d %d", num, val)
				h = text(hostCall(unix.SYS_SEMCTL, uintptr(hid), uintptr(num), abi.SETVAL, uintptr(val)))
				o = text(0, w.ns.SemSetVal(w.ctx, id, num, int32(val)))
			} else {
				ops := make([]Sembuf, 1+rnd.Intn(4))
				for i := range ops {
					ops[i] = Sembuf{uint16(rnd.Intn(n)), int16(rnd.Intn(7) - 3), abi.IPC_NOWAIT}
					if rnd.Intn(10) == 0 {
						ops[i].Op = 32767
					}
				}
				if rnd.Intn(20) == 0 {
					ops[0].Num = n
				}
				what = fmt.Sprintf("semop %v", ops)
				h = text(hostSemop(hid, ops))
				o = text(0, w.ns.Semtimedop(w.ctx, id, ops, time.Time{}, nil))
			}
			for i := range n {
				v, _ := hostCall(unix.SYS_SEMCTL, uintptr(hid), uintptr(i), abi.GETVAL, 0)
				ov, _ := w.ns.SemGet(w.ctx, id, i, abi.GETVAL)
				h += fmt.Sprint(" ", v)
				o += fmt.Sprint(" ", ov)
			}
			if h != o {
				t.Fatalf("seed %d: %s: host %s, ours %s", seed, what, h, o)
			}
		}
	}
}

func TestMessagesAgainstHost(t *testing.T) {
	for seed := range int64(40) {
		rnd := rand.New(rand.NewSource(seed))
		w := newWorld(t)
		hid, err := hostCall(unix.SYS_MSGGET, 0, 0o600, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer hostCall(unix.SYS_MSGCTL, uintptr(hid), abi.IPC_RMID, 0, 0)
		id, err := w.ns.Msgget(w.ctx, abi.IPC_PRIVATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		for step := range 80 {
			what, h, o := "", "", ""
			n, typ := rnd.Intn(64), int64(rnd.Intn(8)-2)
			if rnd.Intn(2) == 0 {
				m := &hostMsg{typ: typ}
				for i := range m.data {
					m.data[i] = byte(step)
				}
				what = fmt.Sprintf("msgsnd %d of type %d", n, typ)
				h = text(hostMsgsnd(hid, m, n, abi.IPC_NOWAIT))
				o = text(0, w.ns.Msgsnd(w.ctx, id, typ, m.data[:n], abi.IPC_NOWAIT))
			} else {
				flags := abi.IPC_NOWAIT | []int{0, 0, abi.MSG_NOERROR, abi.MSG_EXCEPT}[rnd.Intn(4)]
				what = fmt.Sprintf("msgrcv %d type %d flags %#x", n, typ, flags)
				m := &hostMsg{}
				hn, herr := hostMsgrcv(hid, m, n, typ, flags)
				h = fmt.Sprint(text(hn, herr), m.typ, m.data[:max(hn, 0)])
				ot, data, oerr := w.ns.Msgrcv(w.ctx, id, uint64(n), typ, uint32(flags))
				o = fmt.Sprint(text(len(data), oerr), ot, append([]byte{}, data...))
			}
			if h != o {
				t.Fatalf("seed %d: %s: host %s, ours %s", seed, what, h, o)
			}
		}
	}
}

func TestKeysAndPermissions(t *testing.T) {
	w := newWorld(t)
	user := w.as(1000)
	id, err := w.ns.Shmget(w.ctx, 77, 5000, abi.IPC_CREAT|0o640)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ctx   *vfs.Context
		key   int32
		size  uint64
		flags uint32
		want  error
	}{
		{w.ctx, 77, 5000, abi.IPC_CREAT | abi.IPC_EXCL, abi.EEXIST},
		{w.ctx, 77, 9000, 0, abi.EINVAL},
		{w.ctx, 78, 1, 0, abi.ENOENT},
		{w.ctx, 77, 0, 0o600, nil},
		{user, 77, 0, 0o400, abi.EACCES},
		{w.ctx, 79, 0, abi.IPC_CREAT, abi.EINVAL},
	} {
		got, err := w.ns.Shmget(c.ctx, c.key, c.size, c.flags)
		if err != c.want || err == nil && got != id {
			t.Errorf("shmget(%d, %d, %#x) = %d %v, want %v", c.key, c.size, c.flags, got, err, c.want)
		}
	}
	if err := w.ns.ShmRemove(user, id); err != abi.EPERM {
		t.Errorf("remove by another user: %v", err)
	}
	if b, _ := w.ns.ShmStat(w.ctx, id); len(b.Encode(w.ns.user)) != 112 {
		t.Errorf("struct shmid64_ds has %d bytes", len(b.Encode(w.ns.user)))
	}
}

func TestRemovedSegmentLivesWhileMapped(t *testing.T) {
	w := newWorld(t)
	id, _ := w.ns.Shmget(w.ctx, 5, 3*abi.PageSize, abi.IPC_CREAT|0o600)
	s, err := w.ns.Shmat(w.ctx, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := abi.AddrRange{Start: 0x10000, End: 0x13000}
	s.AddMapping(nil, r, 0, true)
	s.Attached()
	e, err := s.Extent(w.ctx.Account, 0, abi.PageSize, true)
	if err != nil {
		t.Fatal(err)
	}
	w.mf.DecRef(e.Off, e.Len)
	if err := w.ns.ShmRemove(w.ctx, id); err != nil {
		t.Fatal(err)
	}
	if st, err := w.ns.ShmStat(w.ctx, id); err != nil || st.Attached != 1 || st.Mode&shmDest == 0 || st.Key != 0 {
		t.Errorf("after the removal: %+v %v", st, err)
	}
	if w.mf.InUse() == 0 {
		t.Error("the pages are gone")
	}
	s.RemoveMapping(nil, abi.AddrRange{Start: 0x10000, End: 0x11000}, 0, true)
	s.RemoveMapping(nil, abi.AddrRange{Start: 0x11000, End: 0x13000}, abi.PageSize, true)
	if _, err := w.ns.ShmStat(w.ctx, id); err != abi.EINVAL || w.mf.InUse() != 0 {
		t.Errorf("after the last detach: %v, %d bytes", err, w.mf.InUse())
	}
}

func TestSemUndoAndRemoval(t *testing.T) {
	w := newWorld(t)
	id, _ := w.ns.Semget(w.ctx, abi.IPC_PRIVATE, 1, 0o600)
	var u Undo
	if err := w.ns.Semtimedop(w.ctx, id, []Sembuf{{0, 3, abi.SEM_UNDO}}, time.Time{}, &u); err != nil {
		t.Fatal(err)
	}
	u.Exit(w.ctx)
	if v, _ := w.ns.SemGet(w.ctx, id, 0, abi.GETVAL); v != 0 {
		t.Errorf("value %d after the exit", v)
	}
	done := make(chan error)
	other := w.as(0)
	go func() { done <- w.ns.Semtimedop(other, id, []Sembuf{{0, -1, 0}}, time.Time{}, nil) }()
	waits := func() {
		for range 20000 {
			if n, _ := w.ns.SemGet(w.ctx, id, 0, abi.GETNCNT); n == 1 {
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Fatal("nobody waits")
	}
	waits()
	w.ns.Semtimedop(w.ctx, id, []Sembuf{{0, 1, 0}}, time.Time{}, nil)
	if err := <-done; err != nil {
		t.Errorf("waiter: %v", err)
	}
	if n, _ := w.ns.SemGet(w.ctx, id, 0, abi.GETNCNT); n != 0 {
		t.Errorf("%d waiters left", n)
	}
	if err := w.ns.Semtimedop(w.ctx, id, []Sembuf{{0, -1, 0}}, time.Now().Add(time.Millisecond), nil); err != abi.EAGAIN {
		t.Errorf("timeout: %v", err)
	}
	go func() { done <- w.ns.Semtimedop(other, id, []Sembuf{{0, -1, 0}}, time.Time{}, nil) }()
	waits()
	w.ns.SemRemove(w.ctx, id)
	if err := <-done; err != abi.EIDRM {
		t.Errorf("removed: %v", err)
	}
}

type notified chan MqSender

func (n notified) MessageArrived(s MqSender) { n <- s }

func TestMqueue(t *testing.T) {
	w := newWorld(t)
	ctx := w.ctx
	f, err := w.ns.MqOpen(ctx, "q", abi.O_RDWR|abi.O_CREAT|abi.O_NONBLOCK, 0o600, &MqAttr{MaxMsg: 2, MsgSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	q, _ := MqueueOf(f)
	n := make(notified, 1)
	if err := q.Notify(ctx, n, 10); err != nil {
		t.Fatal(err)
	}
	if err := q.Notify(ctx, n, 10); err != abi.EBUSY {
		t.Errorf("second registration: %v", err)
	}
	for _, m := range []struct {
		text string
		prio uint32
		want error
	}{{"low", 1, nil}, {"high", 9, nil}, {"more", 5, abi.EAGAIN}, {"much too long", 0, abi.EMSGSIZE}} {
		if err := q.Send(ctx, f, []byte(m.text), m.prio, time.Time{}); err != m.want {
			t.Errorf("send %q: %v", m.text, err)
		}
	}
	if s := <-n; s.PID != 42 {
		t.Errorf("notified of %+v", s)
	}
	b := make([]byte, 100)
	if k, _ := f.Read(ctx, uio.One(b)); string(b[:k]) != "QSIZE:7          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n" {
		t.Errorf("line %q", b[:k])
	}
	if _, _, err := q.Receive(ctx, f, 7, time.Time{}); err != abi.EMSGSIZE {
		t.Errorf("short buffer: %v", err)
	}
	for _, want := range []string{"high", "low"} {
		if d, _, err := q.Receive(ctx, f, 8, time.Time{}); string(d) != want || err != nil {
			t.Errorf("received %q %v, want %q", d, err, want)
		}
	}
	if _, err := w.ns.MqOpen(w.as(1000), "q", abi.O_RDWR, 0, nil); err != abi.EACCES {
		t.Errorf("another user: %v", err)
	}
	if _, err := w.ns.MqOpen(ctx, "q", abi.O_RDWR|abi.O_CREAT|abi.O_EXCL, 0, nil); err != abi.EEXIST {
		t.Errorf("exclusive: %v", err)
	}
	q.Send(ctx, f, []byte("left"), 0, time.Time{})
	if err := w.ns.MqUnlink(ctx, "q"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ns.MqOpen(ctx, "q", abi.O_RDWR, 0, nil); err != abi.ENOENT {
		t.Errorf("after unlink: %v", err)
	}
	f.DecRef()
}
