package sandbox

import (
	"crypto/rand"
	"os"

	"golang.org/x/sys/unix"
)

// readHost collects what the Sentry may know of the host.
func readHost() HostInfo {
	var h HostInfo
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		for i, n := 0, set.Count(); n > 0; i++ {
			if set.IsSet(i) {
				h.CPUs = append(h.CPUs, i)
				n--
			}
		}
	}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		h.CPUInfo = string(text)
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		h.MemTotal = uint64(si.Totalram) * uint64(si.Unit)
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		h.Hostname = unix.ByteSliceToString(uts.Nodename[:])
		h.Release = unix.ByteSliceToString(uts.Release[:])
	}
	_, _ = rand.Read(h.Seed[:])
	return h
}
