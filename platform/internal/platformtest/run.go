//go:build amd64

package platformtest

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"lazaret/platform"
)

// Subject is a platform under test.
type Subject struct {
	New func() (platform.Platform, error)
	// StubPID is the host's number of the process behind an address space.
	StubPID func(platform.AddressSpace) int
	// Drain makes the platform forget what it keeps for new address spaces; may be nil.
	Drain func(platform.Platform)
	// Spaces is how many address spaces exist.
	Spaces func(platform.Platform) int
	// StubMaps are the mappings that a stub has when it is empty: start and permissions.
	StubMaps map[uint64]string
	// SigIgn and SigBlk are what an idle stub's status says.
	SigIgn, SigBlk string
	// FaultCodes says that events of page faults carry the processor's error code.
	FaultCodes bool
	// HostStops says that SIGSTOP from the host stops a stub, as any process.
	HostStops bool
}

var (
	subject    Subject
	shared     platform.Platform
	sharedOnce sync.Once
	errShared  error
)

func testPlatform(tb testing.TB) platform.Platform {
	tb.Helper()
	sharedOnce.Do(func() { shared, errShared = subject.New() })
	if errShared != nil {
		tb.Fatal(errShared)
	}
	return shared
}

// Main is a platform package's TestMain. Where the environment says so the process plays
// another part: one of more, or a Sentry that will be killed.
func Main(m *testing.M, s Subject, more map[string]func() error) {
	subject = s
	switch role := os.Getenv(victimEnv); {
	case role == "":
	case more[role] != nil:
		if err := more[role](); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ok")
		os.Exit(0)
	default:
		victim()
	}
	code := m.Run()
	if shared != nil {
		shared.Close()
	}
	os.Exit(code)
}

// RoleEnv is the environment entry that gives a process of this test binary a part.
func RoleEnv(role string) string { return victimEnv + "=" + role }

// Run runs every test case.
func Run(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, c.f)
	}
}

// Bench runs every benchmark.
func Bench(b *testing.B) {
	for _, c := range benches {
		b.Run(c.name, c.f)
	}
}

var cases = []struct {
	name string
	f    func(*testing.T)
}{
	{"Syscall", testSyscall},
	{"InterruptSpinning", testInterruptSpinning},
	{"InterruptBefore", testInterruptBefore},
	{"InterruptRace", testInterruptRace},
	{"FPStateInherited", testFPStateInherited},
	{"FPStateComponents", testFPStateComponents},
	{"FPStateRefused", testFPStateRefused},
	{"Exceptions", testExceptions},
	{"BusError", testBusError},
	{"Vsyscall", testVsyscall},
	{"HostileRegs", testHostileRegs},
	{"SegmentBases", testSegmentBases},
	{"MapAfterFault", testMapAfterFault},
	{"Protect", testProtect},
	{"Empty", testEmpty},
	{"BadRanges", testBadRanges},
	{"Fork", testFork},
	{"Threads", testThreads},
	{"ManyAddressSpaces", testManyAddressSpaces},
	{"StubKilled", testStubKilled},
	{"ForeignSignals", testForeignSignals},
	{"SentryKilled", testSentryKilled},
}

var benches = []struct {
	name string
	f    func(*testing.B)
}{
	{"Syscall", benchSyscall},
	{"Map", benchMap},
	{"Fork", benchFork},
	{"NewThread", benchNewThread},
	{"Process", benchProcess},
	{"SyscallPair", benchSyscallPair},
}
