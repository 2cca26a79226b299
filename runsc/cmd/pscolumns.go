package cmd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lazaret/runsc/control"
)

// psColumn is a column of ps(1): its header and what it shows of a process.
type psColumn struct {
	header string
	show   func(p *control.Process) string
}

// psColumns are the columns by the names of ps -o. Users are numbers: the names are those of
// the container's files, which are not read here.
var psColumns = map[string]psColumn{
	"pid":     {"PID", func(p *control.Process) string { return strconv.Itoa(int(p.PID)) }},
	"ppid":    {"PPID", func(p *control.Process) string { return strconv.Itoa(int(p.PPID)) }},
	"pgid":    {"PGID", func(p *control.Process) string { return strconv.Itoa(int(p.PGID)) }},
	"sid":     {"SID", func(p *control.Process) string { return strconv.Itoa(int(p.SID)) }},
	"uid":     {"UID", psUser},
	"user":    {"USER", psUser},
	"gid":     {"GID", psGroup},
	"group":   {"GROUP", psGroup},
	"nlwp":    {"NLWP", func(p *control.Process) string { return strconv.Itoa(p.Threads) }},
	"c":       {"C", func(p *control.Process) string { return strconv.FormatInt(psShare(p)/10, 10) }},
	"pcpu":    {"%CPU", func(p *control.Process) string { return fmt.Sprintf("%d.%d", psShare(p)/10, psShare(p)%10) }},
	"vsz":     {"VSZ", func(p *control.Process) string { return strconv.FormatUint(p.VSZ>>10, 10) }},
	"rss":     {"RSS", func(p *control.Process) string { return strconv.FormatUint(p.RSS>>10, 10) }},
	"tty":     {"TTY", psTTY},
	"stat":    {"STAT", func(p *control.Process) string { return p.State }},
	"s":       {"S", func(p *control.Process) string { return p.State }},
	"stime":   {"STIME", func(p *control.Process) string { return time.Unix(p.StartUnix, 0).Format("15:04") }},
	"start":   {"START", func(p *control.Process) string { return time.Unix(p.StartUnix, 0).Format("15:04") }},
	"etimes":  {"ELAPSED", func(p *control.Process) string { return strconv.FormatInt(psAge(p), 10) }},
	"time":    {"TIME", psTime},
	"comm":    {"COMMAND", func(p *control.Process) string { return p.Comm }},
	"args":    {"COMMAND", psArgs},
	"cmd":     {"CMD", psArgs},
	"command": {"COMMAND", psArgs},
}

// psAliases are other names of columns.
var psAliases = map[string]string{
	"euid": "uid", "euser": "user", "uname": "user", "egid": "gid", "egroup": "group", "pgrp": "pgid", "sess": "sid", "session": "sid",
	"thcount": "nlwp", "%cpu": "pcpu", "vsize": "vsz", "rssize": "rss", "tt": "tty", "tname": "tty", "state": "s",
	"cputime": "time", "ucmd": "comm", "ucomm": "comm",
}

// Formats that letters stand for.
const (
	psPlain = "pid,tty,time,cmd"                                  // -e
	psFull  = "uid,pid,ppid,c,stime,tty,time,cmd"                 // -f
	psBSD   = "pid,tty,stat,time,command"                         // ax
	psBSDu  = "user,pid,pcpu,vsz,rss,tty,stat,start,time,command" // aux
)

func psUser(p *control.Process) string  { return strconv.FormatUint(uint64(p.UID), 10) }
func psGroup(p *control.Process) string { return strconv.FormatUint(uint64(p.GID), 10) }
func psArgs(p *control.Process) string  { return p.Cmd }

func psTTY(p *control.Process) string {
	if p.TTY == "" {
		return "?"
	}
	return p.TTY
}

func psTime(p *control.Process) string {
	cpu := time.Duration(p.CPUTimeMS) * time.Millisecond
	return fmt.Sprintf("%02d:%02d:%02d", int(cpu.Hours()), int(cpu.Minutes())%60, int(cpu.Seconds())%60)
}

func psAge(p *control.Process) int64 { return max(time.Now().Unix()-p.StartUnix, 0) }

// psShare is processor time over life time, in tenths of a percent.
func psShare(p *control.Process) int64 {
	age := psAge(p)
	if age == 0 {
		return 0
	}
	return min(int64(p.CPUTimeMS)/age, 999)
}

// psFormat reads the options of ps(1): which columns, no more. Which processes is given, and
// so is their order.
func psFormat(args []string) ([]psColumn, error) {
	if len(args) == 0 {
		return psList(nil, psFull)
	}
	var cols []psColumn
	var err error
	format := psPlain
	for i := 0; i < len(args); i++ {
		list, isList := strings.CutPrefix(args[i], "--format=")
		letters, dashed := strings.CutPrefix(args[i], "-")
		for j := 0; j < len(letters) && !isList; j++ {
			switch l := letters[j]; {
			case l == 'o':
				// The list is the rest, or the next argument.
				if list, isList = letters[j+1:], true; list == "" && i+1 < len(args) {
					i++
					list = args[i]
				}
			case l == 'f' && dashed:
				format = psFull
			case l == 'u' && !dashed:
				format = psBSDu
			case (l == 'a' || l == 'x') && !dashed:
				if format != psBSDu {
					format = psBSD
				}
			case l == 'w', (l == 'e' || l == 'A' || l == 'a') && dashed:
			default:
				return nil, fmt.Errorf("ps option %q is not supported: want -e, -f, aux or -o and a list; runsc exec runs the container's own ps", args[i])
			}
		}
		if isList {
			if cols, err = psList(cols, list); err != nil {
				return nil, err
			}
		}
	}
	if cols == nil {
		return psList(nil, format)
	}
	for _, c := range cols {
		if c.header == "PID" {
			return cols, nil
		}
	}
	return nil, errors.New("couldn't find PID field in ps output") // runc's words, and its reason
}

// psList appends the columns of a list.
func psList(cols []psColumn, list string) ([]psColumn, error) {
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		key := name
		if full, ok := psAliases[name]; ok {
			key = full
		}
		col, ok := psColumns[key]
		if !ok {
			return nil, fmt.Errorf("ps option -o: unknown column %q; runsc exec runs the container's own ps", name)
		}
		cols = append(cols, col)
	}
	if len(cols) == 0 {
		return nil, errors.New("ps option -o: the list of columns is empty")
	}
	return cols, nil
}
