package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"lazaret/runsc/cgroup"
	"lazaret/runsc/container"
	"lazaret/runsc/control"
)

// event is a line of runc events. The nested shapes are runc's types/events.go as its
// output shows them; what nobody counts for a sandbox is absent.
type event struct {
	Type string     `json:"type"`
	ID   string     `json:"id"`
	Data *eventData `json:"data,omitempty"`
}

type eventData struct {
	CPU struct {
		Usage struct {
			Total  uint64   `json:"total,omitempty"`
			PerCPU []uint64 `json:"percpu,omitempty"`
			Kernel uint64   `json:"kernel"`
			User   uint64   `json:"user"`
		} `json:"usage"`
		Throttling struct {
			Periods          uint64 `json:"periods,omitempty"`
			ThrottledPeriods uint64 `json:"throttledPeriods,omitempty"`
			ThrottledTime    uint64 `json:"throttledTime,omitempty"`
		} `json:"throttling"`
	} `json:"cpu"`
	Memory struct {
		Cache uint64            `json:"cache,omitempty"`
		Usage memoryEntry       `json:"usage"`
		Raw   map[string]uint64 `json:"raw,omitempty"`
	} `json:"memory"`
	Pids struct {
		Current uint64 `json:"current,omitempty"`
		Limit   uint64 `json:"limit,omitempty"`
	} `json:"pids"`
	Blkio   struct{} `json:"blkio"`
	Hugetlb struct{} `json:"hugetlb"`

	Interfaces []networkInterface `json:"network_interfaces,omitempty"`
}

type memoryEntry struct {
	Limit   uint64 `json:"limit"`
	Usage   uint64 `json:"usage,omitempty"`
	Max     uint64 `json:"max,omitempty"`
	Failcnt uint64 `json:"failcnt"`
}

func (a *app) eventsCommand() *cobra.Command {
	var interval time.Duration
	var stats bool
	cmd := &cobra.Command{
		Use: "events [command options] <container-id>", Args: exactArgs(1),
		Short: "display container events such as OOM notifications, cpu, memory, and IO usage statistics",
		Long: `The events command displays information about the container. By default the
information is displayed once every 5 seconds.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if interval <= 0 {
				return fmt.Errorf("duration interval must be greater than 0")
			}
			c, err := a.load(args[0])
			if err != nil {
				return err
			}
			if c.Status() == container.Stopped {
				return fmt.Errorf("container with id %s is not running", c.ID)
			}
			if stats {
				_, err := printStats(c)
				return err
			}
			return follow(c, interval)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&interval, "interval", 5*time.Second, "set the stats collection interval")
	f.BoolVar(&stats, "stats", false, "display the container's stats then exit")
	return cmd
}

// follow prints until the container ends. Kills by the OOM killer are seen at the next
// interval.
func follow(c *container.Container, interval time.Duration) error {
	var kills uint64
	for c.Status() != container.Stopped {
		n, err := printStats(c)
		if err != nil {
			return err
		}
		if n > kills {
			if err := printEvent(&event{Type: "oom", ID: c.ID}); err != nil {
				return err
			}
			kills = n
		}
		time.Sleep(interval)
	}
	return nil
}

// printStats returns the number of OOM kills so far.
func printStats(c *container.Container) (uint64, error) {
	host := (&cgroup.Cgroup{}).Stats()
	if c.Cgroup != nil {
		host = c.Cgroup.Stats()
	}
	// A Sentry that does not answer leaves the host's numbers.
	client := c.Client()
	client.Timeout = 2 * time.Second
	inner, err := client.Stats(c.ID)
	if err != nil {
		inner = &control.Stats{}
	}
	return host.OOMKills + inner.OOMKills, printEvent(&event{Type: "stats", ID: c.ID, Data: mergeStats(host, inner, c.IsSub())})
}

// mergeStats takes processor and memory from the host's groups, which count the sandbox's
// own cost too, and what only the Sentry knows from it. In a shared sandbox the host's
// groups say nothing about one container.
func mergeStats(host *cgroup.Stats, inner *control.Stats, shared bool) *eventData {
	d := &eventData{}
	u := &d.CPU.Usage
	u.Total, u.PerCPU, u.Kernel, u.User = host.CPUTotalNS, host.PerCPU, host.CPUKernelNS, host.CPUUserNS
	t := &d.CPU.Throttling
	t.Periods, t.ThrottledPeriods, t.ThrottledTime = host.Periods, host.ThrottledPeriods, host.ThrottledNS
	d.Memory.Cache = host.MemoryCache
	d.Memory.Usage = memoryEntry{Limit: host.MemoryLimit, Usage: host.MemoryUsage, Max: host.MemoryMax, Failcnt: host.Failcnt}
	d.Memory.Raw = host.MemoryRaw
	d.Pids.Current, d.Pids.Limit = host.PidsCurrent, host.PidsLimit
	if inner.Pids > 0 { // of the application; the host counts the sandbox's threads
		d.Pids.Current, d.Pids.Limit = inner.Pids, inner.PidsLimit
	}
	if shared {
		u.Total, u.Kernel, u.User, u.PerCPU = inner.CPUUserNS+inner.CPUSystemNS, inner.CPUSystemNS, inner.CPUUserNS, nil
		d.Memory.Cache, d.Memory.Raw = inner.FileCache, nil
		d.Memory.Usage = memoryEntry{Limit: host.MemoryLimit, Usage: inner.MemoryUsage, Max: inner.MemoryMax, Failcnt: inner.MemoryFails}
		if inner.MemoryLimit > 0 {
			d.Memory.Usage.Limit = inner.MemoryLimit
		}
		t.Periods, t.ThrottledPeriods, t.ThrottledTime = inner.Periods, inner.ThrottledPeriods, inner.ThrottledNS
	}
	for _, i := range inner.Interfaces {
		d.Interfaces = append(d.Interfaces, networkInterface{Name: i.Name, RxBytes: i.RxBytes, RxPackets: i.RxPackets, RxErrors: i.RxErrors, RxDropped: i.RxDropped,
			TxBytes: i.TxBytes, TxPackets: i.TxPackets, TxErrors: i.TxErrors, TxDropped: i.TxDropped})
	}
	return d
}

// networkInterface has runc's names, which are Go's.
type networkInterface struct {
	Name                                    string
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

func printEvent(e *event) error { return json.NewEncoder(os.Stdout).Encode(e) }
