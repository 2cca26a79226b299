package sandbox

import (
	"crypto/rand"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// readHost collects what the Sentry may know of the host.
func readHost(spec *specs.Spec) HostInfo {
	var h HostInfo
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		for i, n := 0, set.Count(); n > 0; i++ {
			if set.IsSet(i) {
				h.CPUs = append(h.CPUs, i)
				n--
			}
		}
		h.CPUs = allowedCPUs(h.CPUs, spec)
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
	h.MaxTasks = maxTasks()
	_, _ = rand.Read(h.Seed[:])
	return h
}

// allowedCPUs are those of the host's that linux.resources.cpu.cpus names. A list that
// cannot be read, or names none of them, leaves all: the kernel refuses it when it is set.
func allowedCPUs(cpus []int, spec *specs.Spec) []int {
	if spec == nil || spec.Linux == nil || spec.Linux.Resources == nil || spec.Linux.Resources.CPU == nil {
		return cpus
	}
	var out []int
	for _, part := range strings.Split(spec.Linux.Resources.CPU.Cpus, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		lo, err := strconv.Atoi(first)
		hi := lo
		if err == nil && isRange {
			hi, err = strconv.Atoi(last)
		}
		if err != nil {
			return cpus
		}
		for _, n := range cpus {
			if n >= lo && n <= hi && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	if len(out) == 0 {
		return cpus
	}
	slices.Sort(out)
	return out
}

// maxTasks is how many application tasks a sandbox may have at most: a task takes up to
// three threads of the host's, and the Go runtime of the Sentry does not survive a thread
// that the host refuses.
func maxTasks() int {
	const share = 4
	n := 0
	for _, f := range []string{"/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"} {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if v, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && (n == 0 || v/share < n) {
			n = v / share
		}
	}
	return n
}
