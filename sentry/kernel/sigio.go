package kernel

import (
	"sync"
	"sync/atomic"

	"lazaret/sentry/vfs"
	"lazaret/sentry/wait"
	"lazaret/syscalls/abi"
)

// sigio sends the signals of files whose events somebody asked to be told of (fcntl(2):
// O_ASYNC, F_SETOWN). The events come under the locks of wait queues, where no signal can
// be sent: the watch is noted, and its signal sent by the task whose system call made the
// event, before that returns, or by a goroutine for events that come from elsewhere.
type sigio struct {
	waiting atomic.Int32 // watches noted whose signals are not sent

	sendMu sync.Mutex // outside of Kernel.tasksMu

	listMu sync.Mutex // a leaf, below wait queues
	list   []*vfs.AsyncWatch
}

// AsyncReady implements vfs.AsyncSink.
func (k *Kernel) AsyncReady(w *vfs.AsyncWatch) {
	s := &k.sigio
	s.listMu.Lock()
	s.list = append(s.list, w) // each watch once: it comes again only after Take
	first := len(s.list) == 1
	s.listMu.Unlock()
	s.waiting.Add(1)
	if first {
		go k.FlushAsync()
	}
}

// FlushAsync sends the signals of all events so far; on return they are sent.
func (k *Kernel) FlushAsync() {
	s := &k.sigio
	if s.waiting.Load() == 0 {
		return
	}
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	s.listMu.Lock()
	list := s.list
	s.list = nil
	s.listMu.Unlock()
	for _, w := range list {
		k.sendAsync(w, w.Take())
	}
	s.waiting.Add(-int32(len(list)))
}

// sendAsync sends SIGIO, or what F_SETSIG asks for, and SIGURG.
func (k *Kernel) sendAsync(w *vfs.AsyncWatch, events wait.Mask) {
	o := w.File.Owner()
	p, ok := o.Target.(*PID)
	if !ok || w.File.Refs() <= 0 {
		return
	}
	if events&wait.Pri != 0 && w.File.Poll()&wait.Pri == 0 {
		events &^= wait.Pri // who ends wakes everybody for everything
	}
	socket := w.File.Mode&vfs.ModeUrgent != 0
	if events&wait.Pri != 0 && socket {
		k.signalOwner(p, &o, &abi.Siginfo{Signo: abi.SIGURG, Code: abi.SI_KERNEL})
	}
	if w.File.Flags()&abi.O_ASYNC == 0 {
		return
	}
	for _, code := range asyncCodes(events, socket) {
		info := &abi.Siginfo{Signo: abi.SIGIO, Code: abi.SI_KERNEL}
		if o.Signal != 0 {
			info.Signo, info.Code = o.Signal, code.code
			info.SetBand(code.band)
			info.SetFD(w.FD)
		}
		k.signalOwner(p, &o, info)
	}
}

// asyncCode is a si_code of SIGIO and the si_band that goes with it.
type asyncCode struct {
	code int32
	band int64
}

var (
	asyncIn  = asyncCode{abi.POLL_IN, abi.POLLIN | abi.POLLRDNORM}
	asyncOut = asyncCode{abi.POLL_OUT, abi.POLLOUT | abi.POLLWRNORM | abi.POLLWRBAND}
	asyncErr = asyncCode{abi.POLL_ERR, abi.POLLERR}
	asyncPri = asyncCode{abi.POLL_PRI, abi.POLLPRI | abi.POLLRDBAND}
	asyncHup = asyncCode{abi.POLL_HUP, abi.POLLHUP | abi.POLLERR}
)

// asyncCodes are the signals for events: one for what can be read (an end is told of as
// a hang-up by sockets only), one for what can be written.
func asyncCodes(events wait.Mask, socket bool) []asyncCode {
	var codes []asyncCode
	switch ended := events&(wait.Hup|wait.RdHup) != 0; {
	case events&wait.Pri != 0:
		codes = append(codes, asyncPri)
	case ended && socket:
		codes = append(codes, asyncHup)
	case events&wait.In != 0 || ended:
		codes = append(codes, asyncIn)
	case events&wait.Err != 0 && socket:
		codes = append(codes, asyncErr)
	}
	if events&(wait.Out|wait.Taken) != 0 && events&wait.Hup == 0 {
		codes = append(codes, asyncOut)
	}
	return codes
}

// signalOwner sends info to the thread, process or group that owns a file, as far as who
// made it the owner may signal them (fcntl(2), F_SETOWN).
func (k *Kernel) signalOwner(p *PID, o *vfs.FileOwner, info *abi.Siginfo) {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	to, tasks := toGroup, []*Task(nil)
	switch {
	case o.Type == abi.F_OWNER_TID && p.task != nil:
		to, tasks = toThread, []*Task{p.task}
	case o.Type == abi.F_OWNER_PID && p.group != nil:
		tasks = []*Task{p.group.leader}
	case o.Type == abi.F_OWNER_PGRP && p.pgrp != nil:
		for _, tg := range p.pgrp.members {
			tasks = append(tasks, tg.leader)
		}
	}
	force := info.Code == abi.SI_KERNEL
	for _, t := range tasks {
		c := t.Creds()
		if o.EUID != 0 && o.EUID != c.SUID && o.EUID != c.RUID && o.UID != c.SUID && o.UID != c.RUID {
			continue
		}
		if t.SendSignal(info, to, force) == abi.EAGAIN { // a full queue: SIGIO has no information to lose
			_ = t.SendSignal(&abi.Siginfo{Signo: abi.SIGIO, Code: abi.SI_KERNEL}, to, true)
		}
	}
}

// FileOwnerByID returns the object behind a number of fcntl(F_SETOWN_EX) in ns, nil if
// there is none.
func (k *Kernel) FileOwnerByID(ns *PIDNamespace, typ, nr int32) *PID {
	k.tasksMu.RLock()
	defer k.tasksMu.RUnlock()
	p := ns.byNumber[nr]
	switch {
	case p == nil, typ == abi.F_OWNER_TID && p.task == nil, typ == abi.F_OWNER_PID && p.group == nil,
		typ == abi.F_OWNER_PGRP && p.pgrp == nil:
		return nil
	}
	return p
}
