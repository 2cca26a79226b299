package cmd

import (
	"strings"
	"testing"

	"lazaret/runsc/control"
)

func TestPsFormat(t *testing.T) {
	p := &control.Process{PID: 7, PPID: 1, UID: 5, GID: 6, PGID: 7, SID: 3, VSZ: 4096, RSS: 2048, State: "S", Comm: "sleep", Cmd: "sleep 9", Threads: 2}
	for _, tc := range []struct{ args, headers, values string }{
		{"", "UID PID PPID C STIME TTY TIME CMD", ""},
		{"-ef", "UID PID PPID C STIME TTY TIME CMD", ""},
		{"-e -f", "UID PID PPID C STIME TTY TIME CMD", ""},
		{"-A", "PID TTY TIME CMD", ""},
		{"ax", "PID TTY STAT TIME COMMAND", "7 ? S 00:00:00 sleep 9"},
		{"aux", "USER PID %CPU VSZ RSS TTY STAT START TIME COMMAND", ""},
		{"auxww", "USER PID %CPU VSZ RSS TTY STAT START TIME COMMAND", ""},
		{"-o pid,comm", "PID COMMAND", "7 sleep"},
		{"-eo pid,ppid,uid,gid", "PID PPID UID GID", "7 1 5 6"},
		{"-opid,sid -o pgrp,args", "PID SID PGID COMMAND", "7 3 7 sleep 9"},
		{"--format=pid,vsz,rss,nlwp", "PID VSZ RSS NLWP", "7 4 2 2"},
		{"o pid,euser", "PID USER", "7 5"},
		{"-o comm", "", "couldn't find PID field"},
		{"-o pid,nosuch", "", `unknown column "nosuch"`},
		{"-o", "", "empty"},
		{"-Q", "", `ps option "-Q" is not supported`},
		{"--sort=pid", "", `"--sort=pid" is not supported`},
		{"-p 1", "", `"-p" is not supported`},
		{"1", "", `"1" is not supported`},
	} {
		cols, err := psFormat(strings.Fields(tc.args))
		if err != nil {
			if tc.headers != "" || !strings.Contains(err.Error(), tc.values) {
				t.Errorf("ps %s: %v", tc.args, err)
			}
			continue
		}
		var headers, values []string
		for _, c := range cols {
			headers, values = append(headers, c.header), append(values, c.show(p))
		}
		if h, v := strings.Join(headers, " "), strings.Join(values, " "); h != tc.headers || tc.values != "" && v != tc.values {
			t.Errorf("ps %s: %s\n%s\nwant %s\n%s", tc.args, h, v, tc.headers, tc.values)
		}
	}
}
