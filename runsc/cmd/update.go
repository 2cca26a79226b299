package cmd

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"

	"lazaret/runsc/container"
	"lazaret/runsc/spec"
)

type updateFlags struct {
	resources string

	memory, reservation, swap string // bytes, with runc's suffixes
	cpus, mems                string

	weight                uint16
	period, shares        uint64
	quota, pids           int64
	rtPeriod              uint64
	rtRuntime             int64
	l3Schema, memBwSchema string
	kernel, kernelTCP     string
	attach                bool
	changed               func(string) bool
}

func (a *app) updateCommand() *cobra.Command {
	u := &updateFlags{}
	cmd := &cobra.Command{
		Use: "update [command options] <container-id>", Short: "update container resource constraints", Args: exactArgs(1),
		Long: `The update command changes the limits of a container. --resources takes an object like
linux.resources of config.json; all other options are then ignored. With --network-attach it
changes no limit: it gives a sandbox the interfaces that its network namespace has got since
it was created (--network sandbox reads them once).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			u.changed = cmd.Flags().Changed
			return a.withLocked(args[0], func(c *container.Container) error {
				if u.attach {
					return c.AttachNetwork(a.log.warn)
				}
				return a.update(c, u)
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&u.resources, "resources", "r", "", "path to the file containing the resources to update or '-' to read from the standard input")
	f.Uint16Var(&u.weight, "blkio-weight", 0, "Specifies per cgroup weight, range is from 10 to 1000")
	f.Uint64Var(&u.period, "cpu-period", 0, "CPU CFS period to be used for hardcapping (in usecs). 0 to use system default")
	f.Int64Var(&u.quota, "cpu-quota", 0, "CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period")
	f.Uint64Var(&u.shares, "cpu-share", 0, "CPU shares (relative weight vs. other containers)")
	f.Uint64Var(&u.rtPeriod, "cpu-rt-period", 0, "refused: realtime scheduling is not supported")
	f.Int64Var(&u.rtRuntime, "cpu-rt-runtime", 0, "refused: realtime scheduling is not supported")
	f.StringVar(&u.cpus, "cpuset-cpus", "", "CPU(s) to use")
	f.StringVar(&u.mems, "cpuset-mems", "", "Memory node(s) to use")
	f.StringVar(&u.memory, "memory", "", "Memory limit (in bytes)")
	f.StringVar(&u.reservation, "memory-reservation", "", "Memory reservation or soft_limit (in bytes)")
	f.StringVar(&u.swap, "memory-swap", "", "Total memory usage (memory + swap); set '-1' to enable unlimited swap")
	f.Int64Var(&u.pids, "pids-limit", 0, "Maximum number of pids allowed in the container")
	f.StringVar(&u.kernel, "kernel-memory", "", "(obsolete; do not use)")
	f.StringVar(&u.kernelTCP, "kernel-memory-tcp", "", "(obsolete; do not use)")
	f.StringVar(&u.l3Schema, "l3-cache-schema", "", "refused: Intel RDT is not supported")
	f.StringVar(&u.memBwSchema, "mem-bw-schema", "", "refused: Intel RDT is not supported")
	f.BoolVar(&u.attach, "network-attach", false, "take over the interfaces that appeared in the container's network namespace since it was created")
	return cmd
}

func (a *app) update(c *container.Container, u *updateFlags) error {
	switch {
	case u.l3Schema != "":
		return fmt.Errorf("--l3-cache-schema: Intel RDT is not supported")
	case u.memBwSchema != "":
		return fmt.Errorf("--mem-bw-schema: Intel RDT is not supported")
	case u.rtPeriod != 0 || u.rtRuntime != 0:
		return fmt.Errorf("--cpu-rt-period, --cpu-rt-runtime: realtime scheduling is not supported")
	}
	var r *specs.LinuxResources
	var err error
	if u.resources != "" {
		r, err = readResources(u.resources)
	} else {
		r, err = u.build()
	}
	if err != nil {
		return err
	}
	if err := spec.ValidateResources(r); err != nil {
		return err
	}
	return c.Update(r)
}

func readResources(path string) (*specs.LinuxResources, error) {
	in := os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--resources: %w", err)
		}
		defer f.Close()
		in = f
	}
	r := new(specs.LinuxResources)
	if err := json.NewDecoder(io.LimitReader(in, spec.MaxConfigSize)).Decode(r); err != nil {
		return nil, fmt.Errorf("--resources %s: malformed JSON: %w", path, err)
	}
	return r, nil
}

// build makes resources of the flags that were given.
func (u *updateFlags) build() (*specs.LinuxResources, error) {
	r := &specs.LinuxResources{Memory: &specs.LinuxMemory{}, CPU: &specs.LinuxCPU{}}
	for _, f := range []struct {
		name, value string
		to          **int64
	}{{"memory", u.memory, &r.Memory.Limit}, {"memory-reservation", u.reservation, &r.Memory.Reservation}, {"memory-swap", u.swap, &r.Memory.Swap}} {
		if f.value == "" {
			continue
		}
		n, err := parseBytes(f.value)
		if err != nil {
			return nil, fmt.Errorf("invalid value for --%s: %w", f.name, err)
		}
		*f.to = &n
	}
	if u.changed("cpu-period") {
		r.CPU.Period = &u.period
	}
	if u.changed("cpu-quota") {
		r.CPU.Quota = &u.quota
	}
	if u.changed("cpu-share") {
		r.CPU.Shares = &u.shares
	}
	r.CPU.Cpus, r.CPU.Mems = u.cpus, u.mems
	if u.changed("blkio-weight") {
		r.BlockIO = &specs.LinuxBlockIO{Weight: &u.weight}
	}
	if u.changed("pids-limit") {
		r.Pids = &specs.LinuxPids{Limit: &u.pids}
	}
	return r, nil
}

// parseBytes reads a number of bytes with a binary suffix, as in 512m or 2GiB.
func parseBytes(s string) (int64, error) {
	num := strings.TrimRight(strings.ToLower(s), "ib")
	shift := 0
	if i := strings.IndexAny(num, "kmgtp"); i >= 0 && i == len(num)-1 {
		shift = 10 * (strings.IndexByte("kmgtp", num[i]) + 1)
		num = num[:i]
	}
	n, err := strconv.ParseInt(strings.TrimSpace(num), 10, 64)
	if err != nil || n < -1 || n > 1<<62>>shift {
		return 0, fmt.Errorf("%q is not a size such as 1048576, 512m or -1", s)
	}
	if n == -1 {
		return -1, nil
	}
	return n << shift, nil
}
