package proc

import (
	"strconv"
	"sync/atomic"

	"lazaret/sentry/fs/pipe"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

func getHost(v *sysctlCall) string {
	if v.set == nil || v.set.UTS == nil {
		return "(none)"
	}
	h, _ := v.set.UTS.Names()
	return h
}

func setHost(v *sysctlCall, s string) error {
	if v.set == nil || v.set.UTS == nil {
		return abi.EINVAL
	}
	v.set.UTS.SetHost(s)
	return nil
}

func getDomain(v *sysctlCall) string {
	if v.set == nil || v.set.UTS == nil {
		return "(none)"
	}
	_, d := v.set.UTS.Names()
	return d
}

func setDomain(v *sysctlCall, s string) error {
	if v.set == nil || v.set.UTS == nil {
		return abi.EINVAL
	}
	v.set.UTS.SetDomain(s)
	return nil
}

func getRelease(v *sysctlCall) string { return v.sys.Info.Release }
func getVersion(v *sysctlCall) string { return v.sys.Info.Version }
func getBootID(v *sysctlCall) string  { return v.sys.bootID }
func getUUID(*sysctlCall) string      { return newUUID() }
func getPidMax(v *sysctlCall) string  { return strconv.Itoa(int(v.pid.Max())) }
func getLastPid(v *sysctlCall) string { return strconv.Itoa(int(v.sys.K.LastPID(v.pid))) }
func getPipeMax(*sysctlCall) string   { return strconv.Itoa(pipe.MaxSize) }

// refuse is for what others may set on Linux and nobody may here.
func refuse(*sysctlCall, string) error { return abi.EPERM }

// ignore takes a value and forgets it.
func ignore(*sysctlCall, string) error { return nil }

func getArch(*sysctlCall) string { return machine }

// getFileNr is fs.file-nr: the open files of the sandbox.
func getFileNr(*sysctlCall) string {
	return strconv.FormatInt(vfs.OpenFiles(), 10) + "\t0\t9223372036854775807"
}

func protection(v *sysctlCall) *atomic.Int32 {
	switch v.line.path {
	case "fs/protected_symlinks":
		return &vfs.Protected.Symlinks
	case "fs/protected_hardlinks":
		return &vfs.Protected.Hardlinks
	case "fs/protected_regular":
		return &vfs.Protected.Regular
	}
	return &vfs.Protected.FIFOs
}

func getProtected(v *sysctlCall) string { return strconv.Itoa(int(protection(v).Load())) }

func setProtected(v *sysctlCall, s string) error {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return abi.EINVAL
	}
	protection(v).Store(int32(n))
	return nil
}
