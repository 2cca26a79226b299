package sandbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// setupCaps are what a child in a new user namespace needs to confine itself.
var setupCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP}

// goferCapList is what file ownership needs, and nothing else stays with a Gofer.
var goferCapList = []uintptr{
	unix.CAP_CHOWN,           // chown of the container's files
	unix.CAP_DAC_OVERRIDE,    // the Sentry has checked permissions already
	unix.CAP_DAC_READ_SEARCH, // same, for directories
	unix.CAP_FOWNER,          // chmod, utimes, xattrs of files of any owner
	unix.CAP_FSETID,          // keep set-id bits when a file changes
	unix.CAP_MKNOD,           // device nodes and whiteouts in writable trees
	unix.CAP_SETFCAP,         // security.capability of the container's files
}

// lastCap reads the highest capability that this kernel knows.
func lastCap() uintptr {
	if data, err := os.ReadFile("/proc/sys/kernel/cap_last_cap"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && n < 64 {
			return uintptr(n)
		}
	}
	return unix.CAP_LAST_CAP
}

// Secure bits (capabilities(7)): user id 0 means nothing any more, and all of it is
// locked.
const (
	secbitNoroot              = 1 << 0
	secbitNorootLocked        = 1 << 1
	secbitNoSetuidFixup       = 1 << 2
	secbitNoSetuidFixupLocked = 1 << 3
	secbitKeepCapsLocked      = 1 << 5
	secbitNoAmbientRaise      = 1 << 6
	secbitNoAmbientLocked     = 1 << 7

	lockedSecureBits = secbitNoroot | secbitNorootLocked | secbitNoSetuidFixup |
		secbitNoSetuidFixupLocked | secbitKeepCapsLocked | secbitNoAmbientRaise | secbitNoAmbientLocked
)

// noCaps is how /proc shows an empty set.
const noCaps = "0000000000000000"

// limitCaps reduces every thread of this process to the capabilities in keep, in all
// sets, the bounding set too, and forbids new privileges. It cannot be undone. From here
// timers may be slackNS late.
func limitCaps(t *threads, keep []uintptr, last uintptr, slackNS uintptr) error {
	var set uint64
	for _, c := range keep {
		set |= 1 << c
	}
	var calls []threadCall
	for c := uintptr(0); c <= last; c++ {
		if set&(1<<c) == 0 {
			calls = append(calls, threadCall{nr: unix.SYS_PRCTL, a: unix.PR_CAPBSET_DROP, b: c})
		}
	}
	calls = append(calls,
		threadCall{nr: unix.SYS_PRCTL, a: unix.PR_CAP_AMBIENT, b: unix.PR_CAP_AMBIENT_CLEAR_ALL},
		threadCall{nr: unix.SYS_PRCTL, a: unix.PR_SET_SECUREBITS, b: lockedSecureBits},
		capsetCall(set),
		threadCall{nr: unix.SYS_PRCTL, a: unix.PR_SET_NO_NEW_PRIVS, b: 1},
		threadCall{nr: unix.SYS_PRCTL, a: unix.PR_SET_TIMERSLACK, b: slackNS},
	)
	caps := fmt.Sprintf("%016x", set)
	if err := t.do(calls, "CapInh:\t"+noCaps, "CapPrm:\t"+caps, "CapEff:\t"+caps, "CapBnd:\t"+caps, "CapAmb:\t"+noCaps,
		"NoNewPrivs:\t1"); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}
