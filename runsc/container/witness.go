package container

import (
	"os"
	"strconv"
	"strings"

	"lazaret/runsc/sandbox"
)

// witness starts the witness of OOM kills of a container with a memory limit; nil where the
// host's group would not tell of it, or would end the sandbox in its place. The container
// does without it: engines then say that it was killed, and not why.
func (cr *creator) witness() *sandbox.Witness {
	r := hostResources(cr.c)
	if r == nil || r.Memory == nil || r.Memory.Limit == nil || *r.Memory.Limit <= 0 ||
		cr.scope == nil && (cr.c.Cgroup == nil || cr.c.Cgroup.Optional) {
		return nil
	}
	// The OOM killer looks at what a process has and at its score: a Sentry that has nearly all
	// of the group comes before the witness if its own score is much above 0.
	adj, err := os.ReadFile("/proc/self/oom_score_adj")
	if p := cr.opts.Spec.Process; err != nil || score(string(adj)) > maxScore || p != nil && p.OOMScoreAdj != nil && *p.OOMScoreAdj > maxScore {
		return nil
	}
	w, err := sandbox.StartWitness(*r.Memory.Limit)
	if err == nil {
		if err = cr.adopt(w.PID); err == nil {
			err = w.Prefer()
		}
		if err != nil {
			_ = w.File.Close()
		}
	}
	if err != nil {
		cr.warn(err.Error() + "; the engine will not hear that memory was the reason of a kill")
		return nil
	}
	return w
}

// maxScore leaves a difference that the share of the group that the witness takes, the
// allowance, makes up for. Shims give runsc one or two above their engine's.
const maxScore = 50

func score(text string) int {
	n, _ := strconv.Atoi(strings.TrimSpace(text))
	return n
}
