package cgroup

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	// systemdPrivate is where root reaches systemd without a bus.
	systemdPrivate = "unix:path=/run/systemd/private"

	systemdName = "org.freedesktop.systemd1"
	systemdPath = "/org/freedesktop/systemd1"
	managerCall = systemdName + ".Manager."

	// systemdLimit is how long systemd may take for a job.
	systemdLimit = 30 * time.Second
)

// systemdBooted is there while systemd runs the machine (sd_booted(3)). Tests have another.
var systemdBooted = "/run/systemd/system"

// PlanSystemd is Plan for groups that systemd makes: those of a scope. path is
// linux.cgroupsPath as slice:prefix:name; an empty one means runsc-id.scope in system.slice.
func (h *Host) PlanSystemd(path, id string) (*Cgroup, error) {
	slice, prefix, name := "system.slice", "runsc", id
	if path != "" {
		part := strings.Split(path, ":")
		if len(part) != 3 {
			return nil, fmt.Errorf("linux.cgroupsPath: %q: expected \"slice:prefix:name\" for systemd cgroups", path)
		}
		prefix, name = part[1], part[2]
		if part[0] != "" {
			slice = part[0]
		}
	}
	dir, err := slicePath(slice)
	if err != nil {
		return nil, err
	}
	unit := name + ".scope"
	if prefix != "" {
		unit = prefix + "-" + unit
	}
	if name == "" || strings.Contains(unit, "/") || strings.HasSuffix(name, ".slice") || len(unit) > 255 {
		return nil, fmt.Errorf("linux.cgroupsPath: %q names no scope of systemd", path)
	}
	c := &Cgroup{Mode: h.Mode, Dirs: map[string]string{}, Unit: unit, Slice: slice}
	for name, mount := range h.Mounts {
		c.Dirs[name] = filepath.Join(mount, dir, unit)
	}
	return c, nil
}

// slicePath is where a slice lies: a-b.slice is in a.slice (systemd.slice(5)).
func slicePath(slice string) (string, error) {
	name, ok := strings.CutSuffix(slice, ".slice")
	if !ok || name == "" || strings.Contains(slice, "/") {
		return "", fmt.Errorf("linux.cgroupsPath: invalid slice name %q", slice)
	}
	if name == "-" {
		return "/", nil
	}
	path, prefix := "/", ""
	for _, part := range strings.Split(name, "-") {
		if part == "" {
			return "", fmt.Errorf("linux.cgroupsPath: invalid slice name %q", slice)
		}
		prefix += part
		path = filepath.Join(path, prefix+".slice")
		prefix += "-"
	}
	return path, nil
}

// systemd is a connection to the manager of this machine.
type systemd struct {
	conn    *dbus.Conn
	manager dbus.BusObject
	jobs    chan *dbus.Signal
	ctx     context.Context
	cancel  context.CancelFunc
}

// CheckSystemd says whether this host has a systemd. The words are runc's.
func CheckSystemd() error {
	if st, err := os.Stat(systemdBooted); err != nil || !st.IsDir() {
		return errors.New("systemd not running on this host, cannot use systemd cgroups manager")
	}
	return nil
}

// dialSystemd connects by way of the system bus, or directly where there is none.
func dialSystemd() (*systemd, error) {
	ctx, cancel := context.WithTimeout(context.Background(), systemdLimit)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		var direct error
		if conn, direct = dialDirect(ctx); direct != nil {
			cancel()
			return nil, fmt.Errorf("connect to systemd: %w, %w", err, direct)
		}
	} else if err = conn.AddMatchSignal(dbus.WithMatchInterface(systemdName+".Manager"), dbus.WithMatchMember("JobRemoved")); err != nil {
		cancel()
		conn.Close()
		return nil, fmt.Errorf("hear of systemd's jobs: %w", err)
	}
	s := &systemd{conn, conn.Object(systemdName, systemdPath), make(chan *dbus.Signal, 16), ctx, cancel}
	conn.Signal(s.jobs)
	return s, nil
}

func dialDirect(ctx context.Context) (*dbus.Conn, error) {
	conn, err := dbus.Dial(systemdPrivate, dbus.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(os.Getuid()))}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (s *systemd) close() {
	s.conn.Close()
	s.cancel()
}

// job calls a method that makes a job and waits for the job's end.
func (s *systemd) job(method string, args ...any) error {
	var path dbus.ObjectPath
	if err := s.manager.CallWithContext(s.ctx, managerCall+method, 0, args...).Store(&path); err != nil {
		return err
	}
	for {
		select {
		case <-s.ctx.Done():
			return errors.New("systemd does not end the job")
		case sig := <-s.jobs:
			if sig == nil {
				return errors.New("systemd has closed the connection")
			}
			// id, job, unit, result
			if sig.Name != managerCall+"JobRemoved" || len(sig.Body) != 4 || sig.Body[1] != path {
				continue
			}
			if result, _ := sig.Body[3].(string); result != "done" {
				return fmt.Errorf("the job's result is %q", result)
			}
			return nil
		}
	}
}

// property is one of a unit, as D-Bus has it.
type property struct {
	Name  string
	Value dbus.Variant
}

func prop(name string, value any) property { return property{name, dbus.MakeVariant(value)} }

// auxUnit is a part of StartTransientUnit that we do not use.
type auxUnit struct {
	Name       string
	Properties []property
}

// StartUnit has systemd make the scope, with pid in it. Preconditions: c comes from PlanSystemd.
func (c *Cgroup) StartUnit(pid int, description string) error {
	s, err := dialSystemd()
	if err != nil {
		return err
	}
	defer s.close()
	props := []property{
		prop("Description", description), prop("Slice", c.Slice), prop("Delegate", true), prop("PIDs", []uint32{uint32(pid)}),
		prop("DefaultDependencies", false),
		// systemd has a default, which is not the container's limit.
		prop("TasksMax", uint64(math.MaxUint64)),
	}
	err = s.job("StartTransientUnit", c.Unit, "replace", props, []auxUnit{})
	if isDBusError(err, ".UnitExists") {
		// What is left of one that failed is forgotten; one that lives stays in the way.
		_ = s.manager.CallWithContext(s.ctx, managerCall+"ResetFailedUnit", 0, c.Unit).Err
		err = s.job("StartTransientUnit", c.Unit, "replace", props, []auxUnit{})
	}
	if err != nil {
		return fmt.Errorf("unable to start unit %q: %w", c.Unit, err)
	}
	dir := c.Dirs["name=systemd"]
	if dir == "" {
		dir = c.Dirs[Unified]
	}
	if _, err := os.Stat(dir); err != nil {
		return errors.Join(fmt.Errorf("systemd has made unit %q elsewhere: %w", c.Unit, err), c.StopUnit())
	}
	return nil
}

// StopUnit lets systemd forget the scope, whose processes are gone or are ended by this.
func (c *Cgroup) StopUnit() error {
	s, err := dialSystemd()
	if err != nil {
		return err
	}
	defer s.close()
	err = s.job("StopUnit", c.Unit, "replace")
	_ = s.manager.CallWithContext(s.ctx, managerCall+"ResetFailedUnit", 0, c.Unit).Err // most did not fail
	if err != nil && !isDBusError(err, ".NoSuchUnit") {
		return fmt.Errorf("unable to stop unit %q: %w", c.Unit, err)
	}
	return nil
}

// tellSystemd gives the unit the limits that systemd knows: it writes its own values into the
// scope's groups whenever it reads its configuration again.
func (c *Cgroup) tellSystemd(r *specs.LinuxResources, list []setting) error {
	props := unitProperties(r, list)
	if len(props) == 0 {
		return nil
	}
	s, err := dialSystemd()
	if err != nil {
		return err
	}
	defer s.close()
	const runtime = true // not kept over a restart of the machine
	if err := s.manager.CallWithContext(s.ctx, managerCall+"SetUnitProperties", 0, c.Unit, runtime, props).Err; err != nil {
		return fmt.Errorf("set limits of unit %q: %w", c.Unit, err)
	}
	return nil
}

// fileProperties are systemd's names (systemd.resource-control(5)) for files of the kernel.
var fileProperties = map[string]string{
	"memory.max": "MemoryMax", "memory.high": "MemoryHigh", "memory.low": "MemoryLow", "memory.min": "MemoryMin",
	"memory.swap.max": "MemorySwapMax", "cpu.weight": "CPUWeight", "pids.max": "TasksMax",
	"memory.limit_in_bytes": "MemoryLimit", "cpu.shares": "CPUShares",
}

func unitProperties(r *specs.LinuxResources, list []setting) []property {
	var props []property
	for _, s := range list {
		name := fileProperties[s.file]
		if name == "" {
			continue
		}
		n, err := strconv.ParseUint(s.value, 10, 64)
		if err != nil {
			n = math.MaxUint64 // "max" and -1
		}
		props = append(props, prop(name, n))
	}
	if r.CPU != nil && r.CPU.Quota != nil && *r.CPU.Quota != 0 {
		period := uint64(100000)
		if r.CPU.Period != nil && *r.CPU.Period != 0 {
			period = *r.CPU.Period
		}
		// In steps of 10 ms a second: systemd would round down to them.
		perSec := uint64(math.MaxUint64)
		if q := *r.CPU.Quota; q > 0 && q < math.MaxInt64/2_000_000 {
			perSec = (uint64(q)*1_000_000/period + 9999) / 10000 * 10000
		}
		props = append(props, prop("CPUQuotaPeriodUSec", period), prop("CPUQuotaPerSecUSec", perSec))
	}
	return props
}

// isDBusError says whether err is the one of systemd's with this end.
func isDBusError(err error, suffix string) bool {
	var e dbus.Error
	return errors.As(err, &e) && strings.HasSuffix(e.Name, suffix)
}
