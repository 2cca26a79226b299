package cgroup

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestPlanSystemd(t *testing.T) {
	h := parseHost(hybridMounts, hybridOwn)
	for path, want := range map[string]string{
		"":                         "system.slice/runsc-id.scope",
		"system.slice:docker:abc":  "system.slice/docker-abc.scope",
		":docker:abc":              "system.slice/docker-abc.scope",
		"a-b-c.slice::abc":         "a.slice/a-b.slice/a-b-c.slice/abc.scope",
		"-.slice:p:n":              "p-n.scope",
		"/a/b":                     "",
		"a:b":                      "",
		"x:docker:abc":             "",
		".slice:docker:abc":        "",
		"a--b.slice:docker:abc":    "",
		"../a.slice:docker:abc":    "",
		"a.slice:docker:../../etc": "",
		"a.slice:docker:":          "",
		"a.slice:docker:b.slice":   "",
	} {
		c, err := h.PlanSystemd(path, "id")
		if (err == nil) != (want != "") {
			t.Errorf("PlanSystemd(%q) = %v, %v", path, c, err)
		}
		if err == nil && (c.Dirs["memory"] != "/sys/fs/cgroup/memory/"+want || c.Dirs[Unified] != "/sys/fs/cgroup/unified/"+want || c.Unit != filepath.Base(want)) {
			t.Errorf("PlanSystemd(%q) = %+v, want %s", path, c, want)
		}
	}
}

// manager is a systemd that only makes directories and keeps what it was told.
type manager struct {
	conn *dbus.Conn
	dir  string

	mu     sync.Mutex
	units  map[string]map[string]any
	result string // of the next jobs
	jobs   int
}

func (m *manager) job(unit string) dbus.ObjectPath {
	m.jobs++
	path := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", m.jobs))
	_ = m.conn.Emit(systemdPath, managerCall+"JobRemoved", uint32(m.jobs), path, unit, m.result)
	return path
}

func failure(name string) *dbus.Error {
	return dbus.NewError(systemdName+"."+name, []any{name})
}

func (m *manager) StartTransientUnit(name, mode string, props []property, _ []auxUnit) (dbus.ObjectPath, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.units[name] != nil || mode != "replace" {
		return "", failure("UnitExists")
	}
	m.units[name] = map[string]any{}
	m.setLocked(name, props)
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return "", failure("Failed")
	}
	return m.job(name), nil
}

func (m *manager) setLocked(name string, props []property) {
	for _, p := range props {
		m.units[name][p.Name] = p.Value.Value()
	}
}

func (m *manager) SetUnitProperties(name string, _ bool, props []property) *dbus.Error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.units[name] == nil {
		return failure("NoSuchUnit")
	}
	m.setLocked(name, props)
	return nil
}

func (m *manager) StopUnit(name, _ string) (dbus.ObjectPath, *dbus.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.units[name] == nil {
		return "", failure("NoSuchUnit")
	}
	delete(m.units, name)
	return m.job(name), nil
}

func (m *manager) ResetFailedUnit(name string) *dbus.Error { return failure("NoSuchUnit") }

// startManager runs a bus with a manager on it, which is found as systemd is.
func startManager(t *testing.T, dir string) *manager {
	t.Helper()
	tmp := t.TempDir()
	conf := filepath.Join(tmp, "bus.conf")
	text := `<busconfig><type>system</type><listen>unix:path=` + tmp + `/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="*"/><allow receive_type="*"/></policy></busconfig>`
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	bus := exec.Command("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile", "--print-address")
	out, err := bus.StdoutPipe()
	if err == nil {
		err = bus.Start()
	}
	if err != nil {
		t.Fatalf("%v: run tools/deps.sh first", err)
	}
	t.Cleanup(func() { _ = bus.Process.Kill(); _ = bus.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", strings.TrimSpace(address))
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &manager{conn: conn, dir: dir, units: map[string]map[string]any{}, result: "done"}
	if err := conn.Export(m, systemdPath, systemdName+".Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(systemdName, 0); err != nil {
		t.Fatal(err)
	}
	old := systemdBooted
	systemdBooted = tmp
	t.Cleanup(func() { systemdBooted = old })
	return m
}

// TestUnit: what systemd is told, over a bus.
func TestUnit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s.slice", "p-n.scope")
	m := startManager(t, dir)
	c := &Cgroup{Mode: V2, Dirs: map[string]string{Unified: dir}, Unit: "p-n.scope", Slice: "s.slice"}
	if err := c.StartUnit(4711, "words"); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Description": "words", "Slice": "s.slice", "Delegate": true, "PIDs": []uint32{4711}, "DefaultDependencies": false, "TasksMax": uint64(math.MaxUint64)}
	if got := m.units[c.Unit]; !reflect.DeepEqual(got, want) {
		t.Errorf("unit has %v\nwant %v", got, want)
	}
	if err := c.StartUnit(4711, "words"); err == nil || !strings.Contains(err.Error(), `unable to start unit "p-n.scope"`) {
		t.Errorf("second start: %v", err)
	}
	r := &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: ptr(int64(100)), Swap: ptr(int64(-1))}, Pids: &specs.LinuxPids{Limit: ptr(int64(10))},
		CPU: &specs.LinuxCPU{Shares: ptr(uint64(1024)), Quota: ptr(int64(33333)), Period: ptr(uint64(50000))},
	}
	if err := c.tellSystemd(r, settingsV2(r)); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]uint64{"MemoryMax": 100, "MemorySwapMax": math.MaxUint64, "TasksMax": 296, "CPUWeight": 39,
		"CPUQuotaPeriodUSec": 50000, "CPUQuotaPerSecUSec": 670000} {
		if got := m.units[c.Unit][name]; got != value {
			t.Errorf("%s = %v, want %d", name, got, value)
		}
	}
	for _, what := range []string{"stop", "second stop"} {
		if err := c.StopUnit(); err != nil || len(m.units) != 0 {
			t.Errorf("%s: %v, units %v", what, err, m.units)
		}
	}
	m.result = "failed"
	if err := c.StartUnit(4711, "words"); err == nil || !strings.Contains(err.Error(), `"failed"`) {
		t.Errorf("a job that fails: %v", err)
	}
	m.result, m.units = "done", map[string]map[string]any{}
	c.Dirs[Unified] = "/nowhere"
	if err := c.StartUnit(4711, "words"); err == nil || !strings.Contains(err.Error(), "elsewhere") || len(m.units) != 0 {
		t.Errorf("a unit in another place: %v, %v", err, m.units)
	}
	systemdBooted = "/no/such/folder"
	if err := CheckSystemd(); err == nil || !strings.Contains(err.Error(), "systemd not running on this host") {
		t.Errorf("without systemd: %v", err)
	}
}
