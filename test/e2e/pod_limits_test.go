package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func limited(r specs.LinuxResources) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.Resources = &r
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"ro", "nosuid", "nodev", "noexec"}})
	}
}

func resources(memory, pids, quota int64, shares uint64) specs.LinuxResources {
	return specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: &memory}, Pids: &specs.LinuxPids{Limit: &pids},
		CPU: &specs.LinuxCPU{Quota: &quota, Period: ptr(uint64(100_000)), Shares: &shares},
	}
}

// eventsStats is what events --stats says.
type eventsStats struct {
	Data struct {
		CPU struct {
			Usage      struct{ Total uint64 }
			Throttling struct{ Periods, ThrottledPeriods, ThrottledTime uint64 }
		}
		Memory struct {
			Usage struct{ Limit, Usage, Max, Failcnt uint64 }
		}
		Pids struct{ Current, Limit uint64 }
	}
}

func (r *runtimeUnderTest) stats(t *testing.T, id string) *eventsStats {
	t.Helper()
	s := new(eventsStats)
	if err := json.Unmarshal([]byte(r.do(t, "", "events", "--stats", id).must(t, "events --stats").out), s); err != nil {
		t.Fatal(err)
	}
	return s
}

const showGroup = "cd /sys/fs/cgroup; head memory.max cpu.max cpu.weight pids.max | grep -v '^$'; head -1 /proc/meminfo | tr -s ' '; grep oom_kill memory.events"

func group(memory, cpu, weight, pids, total string, kills int) string {
	return fmt.Sprintf("==> memory.max <==\n%s\n==> cpu.max <==\n%s\n==> cpu.weight <==\n%s\n==> pids.max <==\n%s\nMemTotal: %s kB\noom_kill %d\n", memory, cpu, weight, pids, total, kills)
}

// TestPodLimits: each container of a sandbox has its own limits, finds them in its own control
// group, and alone is killed, refused or held back by them; a change holds at once.
func TestPodLimits(t *testing.T) {
	r := ours(t)
	sandbox := newBundle(t, forever, pod("")).started(r)
	a := newBundle(t, forever, pod(sandbox), limited(resources(64<<20, 20, 50_000, 512))).started(r)
	b := newBundle(t, forever, pod(sandbox), limited(resources(256<<20, 50, 0, 2048))).started(r)
	in := func(id, script string) answer { t.Helper(); return r.do(t, "", "exec", id, "sh", "-c", script) }
	shows := func(id, want string) {
		t.Helper()
		if got := in(id, showGroup).out; got != want {
			t.Errorf("the group says\n%swant\n%s", got, want)
		}
	}
	shows(a, group("67108864", "50000 100000", "20", "20", "65536", 0))
	shows(b, group("268435456", "max 100000", "79", "50", "262144", 0))

	hog := "exec dd if=/dev/zero of=/dev/null bs=100M count=1"
	forks := "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 0.1 & done; wait; echo all"
	for id, own := range map[string]struct {
		code int
		all  string
	}{a: {137, ""}, b: {0, "all\n"}} {
		if got := in(id, hog); got.code != own.code {
			t.Errorf("100 MB: exit code %d, want %d %s", got.code, own.code, got.err)
		}
		if got := in(id, forks); got.out != own.all {
			t.Errorf("25 processes: %q, want %q %s", got.out, own.all, got.err)
		}
	}
	if got := in(a, "cat /sys/fs/cgroup/pids.events").out; got == "max 0\n" || got == "" {
		t.Errorf("pids.events after forks that were refused: %q", got)
	}
	shows(a, group("67108864", "50000 100000", "20", "20", "65536", 1))
	shows(b, group("268435456", "max 100000", "79", "50", "262144", 0))
	podThrottles(t, r, a, b)

	sa, sb := r.stats(t, a).Data, r.stats(t, b).Data
	if sa.Memory.Usage.Limit != 64<<20 || sb.Memory.Usage.Limit != 256<<20 || sa.Memory.Usage.Failcnt == 0 || sb.Memory.Usage.Failcnt != 0 ||
		sa.Memory.Usage.Usage == 0 || sa.Memory.Usage.Usage > 64<<20 || sb.Memory.Usage.Max < 100<<20 ||
		sa.Pids.Limit != 20 || sb.Pids.Limit != 50 || sa.Pids.Current == 0 {
		t.Errorf("stats of a %+v, of b %+v", sa, sb)
	}

	r.do(t, "", "update", "--memory", "200M", "--pids-limit", "40", "--cpu-quota", "-1", "--cpu-share", "1024", a).must(t, "update")
	r.do(t, "", "update", "--memory", "48M", "--pids-limit", "10", "--cpu-quota", "60000", b).must(t, "update")
	shows(a, group("209715200", "max 100000", "39", "40", "204800", 1))
	shows(b, group("50331648", "60000 100000", "79", "10", "49152", 0))
	if got := in(a, hog); got.code != 0 {
		t.Errorf("100 MB beneath a raised limit: exit code %d", got.code)
	}
	if got := in(a, forks); got.out != "all\n" {
		t.Errorf("25 processes beneath a raised limit: %s", got.err)
	}
	if got := in(b, hog); got.code != 137 {
		t.Errorf("100 MB beneath a lowered limit: exit code %d", got.code)
	}
	if got := in(b, forks); got.out != "" {
		t.Error("25 processes beneath a lowered limit")
	}
	podThrottles(t, r, b, a)
	for _, id := range []string{sandbox, a, b} {
		if st := r.stateOf(t, id); st.Status != "running" {
			t.Errorf("%s is %s", id, st.Status)
		}
	}
}

// podThrottles: what spins in slow is held back, what spins in free never.
func podThrottles(t *testing.T, r *runtimeUnderTest, slow, free string) {
	t.Helper()
	before := r.stats(t, free).Data.CPU.Throttling
	for _, id := range []string{slow, free} {
		r.detached(t, "exec", "--detach", id, "sh", "-c", "rm -f /tmp/stop; until [ -e /tmp/stop ]; do :; done").must(t, "exec")
	}
	start := r.stats(t, slow).Data.CPU.Throttling.ThrottledPeriods
	for n := uint64(0); n < start+3; time.Sleep(20 * time.Millisecond) {
		n = r.stats(t, slow).Data.CPU.Throttling.ThrottledPeriods
	}
	if stat := r.do(t, "", "exec", slow, "grep", "^nr_throttled", "/sys/fs/cgroup/cpu.stat").out; strings.HasSuffix(stat, " 0\n") || stat == "" {
		t.Errorf("cpu.stat: %q", stat)
	}
	if after := r.stats(t, free).Data.CPU.Throttling; after != before {
		t.Errorf("held back without a quota: %+v, before %+v", after, before)
	}
	for _, id := range []string{slow, free} {
		r.do(t, "", "exec", id, "touch", "/tmp/stop").must(t, "exec")
	}
}

// TestPodOOMEvent: events tells of the kill, for that container only.
func TestPodOOMEvent(t *testing.T) {
	r := ours(t)
	sandbox := newBundle(t, forever, pod("")).started(r)
	hog := script1("dd if=/dev/zero of=/dev/null bs=100M count=1; echo $? > /dev/shm/code; exec sleep 1000")
	a := newBundle(t, hog, pod(sandbox), limited(resources(48<<20, 20, 0, 1024))).started(r)
	b := newBundle(t, hog, pod(sandbox), limited(resources(256<<20, 20, 0, 1024))).started(r)
	for id, want := range map[string]struct {
		code string
		ooms int
	}{a: {"137\n", 1}, b: {"0\n", 0}} {
		for r.do(t, "", "exec", id, "cat", "/dev/shm/code").out != want.code {
			time.Sleep(20 * time.Millisecond)
		}
		done := make(chan answer, 1)
		go func() { done <- r.do(t, "", "events", "--interval", "100ms", id) }()
		time.Sleep(500 * time.Millisecond)
		r.do(t, "", "kill", id, "KILL").must(t, "kill")
		if ev := <-done; strings.Count(ev.out, `"type":"oom"`) != want.ooms || !strings.Contains(ev.out, `"type":"stats"`) {
			t.Errorf("events: exit %d %s%s", ev.code, ev.out, ev.err)
		}
	}
}

// TestOOMVictim: who has most memory is killed, and not who asks for the last page.
func TestOOMVictim(t *testing.T) {
	r := ours(t)
	b := newBundle(t, limited(resources(64<<20, 0, 0, 1024)), script1(`
mkfifo /tmp/go
fill='s = "0123456789abcdef"; while (length(s) < 4096) s = s s; for (i = 0; i < n; i++) a[i] = s i'
(awk -v n=9000 "BEGIN { $fill; print \"full\" > \"/tmp/full\"; close(\"/tmp/full\"); getline < \"/tmp/go\" }"; echo $? > /tmp/large) &
until [ -e /tmp/full ] || [ -e /tmp/large ]; do sleep 0.02; done
cat /tmp/full
awk -v n=8000 "BEGIN { $fill }"; echo $?
until [ -e /tmp/large ]; do sleep 0.02; done
cat /tmp/large`))
	if a := b.run(r, ""); a.out != "full\n0\n137\n" || a.code != 0 {
		t.Errorf("exit %d, %q %s", a.code, a.out, a.err)
	}
}
