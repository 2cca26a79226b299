package boot

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/sentry/kernel"
	"lazaret/sentry/kernel/bpf"
	"lazaret/syscalls"
	"lazaret/syscalls/abi"
)

// Offsets in struct seccomp_data.
const (
	dataNR   = 0
	dataArch = 4
	dataArgs = 16
)

// filterBuilder makes a classic BPF program of a spec's rules: one block a rule, which
// ends in a return when the call's number and all its conditions match.
type filterBuilder struct {
	insns []bpf.Insn
	names map[string]int
}

// compileSeccomp makes the filter that linux.seccomp describes. Names of calls that this
// architecture does not have are passed over, as libseccomp does for runc.
func compileSeccomp(s *specs.LinuxSeccomp) (kernel.SeccompProgram, error) {
	b := &filterBuilder{names: syscalls.Numbers()}
	def, err := action(s.DefaultAction, s.DefaultErrnoRet)
	if err != nil {
		return kernel.SeccompProgram{}, err
	}
	b.load(dataArch)
	b.jump(abi.BPF_JEQ, auditArch, 1, 0)
	b.ret(abi.SECCOMP_RET_KILL_PROCESS)
	for i := range s.Syscalls {
		if err := b.rule(&s.Syscalls[i]); err != nil {
			return kernel.SeccompProgram{}, fmt.Errorf("syscalls[%d]: %w", i, err)
		}
	}
	b.ret(def)
	if len(b.insns) > abi.BPF_MAXINSNS {
		return kernel.SeccompProgram{}, fmt.Errorf("needs %d instructions, at most %d are allowed; use fewer rules", len(b.insns), abi.BPF_MAXINSNS)
	}
	prog, err := bpf.Compile(b.insns)
	if err != nil {
		return kernel.SeccompProgram{}, fmt.Errorf("compile: %w", err)
	}
	p := kernel.SeccompProgram{Program: prog}
	for _, f := range s.Flags {
		p.Log = p.Log || f == specs.LinuxSeccompFlagLog
	}
	return p, nil
}

func (b *filterBuilder) load(off uint32) {
	b.insns = append(b.insns, bpf.Insn{Code: abi.BPF_LD | abi.BPF_W | abi.BPF_ABS, K: off})
}

func (b *filterBuilder) jump(op uint16, k uint32, jt, jf uint8) {
	b.insns = append(b.insns, bpf.Insn{Code: abi.BPF_JMP | op | abi.BPF_K, K: k, JT: jt, JF: jf})
}

func (b *filterBuilder) ret(v uint32) {
	b.insns = append(b.insns, bpf.Insn{Code: abi.BPF_RET | abi.BPF_K, K: v})
}

// rule adds the blocks of one rule. A rule of several conditions on one argument means
// any of them, as libseccomp reads runc's; on different ones, all.
func (b *filterBuilder) rule(r *specs.LinuxSyscall) error {
	act, err := action(r.Action, r.ErrnoRet)
	if err != nil {
		return err
	}
	sets := [][]specs.LinuxSeccompArg{r.Args}
	if repeats(r.Args) {
		sets = nil
		for i := range r.Args {
			sets = append(sets, r.Args[i:i+1])
		}
	}
	for _, name := range r.Names {
		nr, ok := b.names[name]
		if !ok {
			continue
		}
		for _, args := range sets {
			b.block(nr, args, act)
		}
	}
	return nil
}

func repeats(args []specs.LinuxSeccompArg) bool {
	seen := map[uint]bool{}
	for _, a := range args {
		if seen[a.Index] {
			return true
		}
		seen[a.Index] = true
	}
	return false
}

// block adds: if the number is nr and all conditions hold, return act.
func (b *filterBuilder) block(nr int, args []specs.LinuxSeccompArg, act uint32) {
	sub := &filterBuilder{}
	for i := range args {
		sub.condition(&args[i])
	}
	b.load(dataNR)
	n := len(sub.insns) + 1
	b.jump(abi.BPF_JEQ, uint32(nr), 0, uint8(n))
	// Jumps to failTarget leave the block.
	for i, in := range sub.insns {
		left := uint8(n - i - 1)
		if in.JT == failTarget {
			in.JT = left
		}
		if in.JF == failTarget {
			in.JF = left
		}
		b.insns = append(b.insns, in)
	}
	b.ret(act)
}

// failTarget stands for the end of the block until its length is known.
const failTarget = 255

// condition adds instructions that fall through when a holds, and go to failTarget when
// it does not. Arguments are compared as unsigned 64-bit numbers, high half first.
func (b *filterBuilder) condition(a *specs.LinuxSeccompArg) {
	lo, hi := dataArgs+8*uint32(a.Index), dataArgs+8*uint32(a.Index)+4
	vlo, vhi := uint32(a.Value), uint32(a.Value>>32)
	switch a.Op {
	case specs.OpEqualTo:
		b.load(hi)
		b.jump(abi.BPF_JEQ, vhi, 0, failTarget)
		b.load(lo)
		b.jump(abi.BPF_JEQ, vlo, 0, failTarget)
	case specs.OpNotEqual:
		b.load(hi)
		b.jump(abi.BPF_JEQ, vhi, 0, 2)
		b.load(lo)
		b.jump(abi.BPF_JEQ, vlo, failTarget, 0)
	case specs.OpMaskedEqual:
		b.masked(hi, vhi, uint32(a.ValueTwo>>32))
		b.masked(lo, vlo, uint32(a.ValueTwo))
	case specs.OpGreaterThan, specs.OpGreaterEqual:
		low := uint16(abi.BPF_JGT)
		if a.Op == specs.OpGreaterEqual {
			low = abi.BPF_JGE
		}
		b.load(hi)
		b.jump(abi.BPF_JGT, vhi, 3, 0)
		b.jump(abi.BPF_JEQ, vhi, 0, failTarget)
		b.load(lo)
		b.jump(low, vlo, 0, failTarget)
	case specs.OpLessThan, specs.OpLessEqual:
		low := uint16(abi.BPF_JGE)
		if a.Op == specs.OpLessEqual {
			low = abi.BPF_JGT
		}
		b.load(hi)
		b.jump(abi.BPF_JGT, vhi, failTarget, 0)
		b.jump(abi.BPF_JEQ, vhi, 0, 2)
		b.load(lo)
		b.jump(low, vlo, failTarget, 0)
	}
}

func (b *filterBuilder) masked(off, mask, want uint32) {
	b.load(off)
	b.insns = append(b.insns, bpf.Insn{Code: abi.BPF_ALU | abi.BPF_AND | abi.BPF_K, K: mask})
	b.jump(abi.BPF_JEQ, want&mask, 0, failTarget)
}

// action is the filter's return value for an action of the spec.
func action(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(abi.EPERM)
	if errno != nil {
		data = uint32(*errno) & 0xffff
	}
	switch a {
	case specs.ActAllow:
		return abi.SECCOMP_RET_ALLOW, nil
	case specs.ActErrno:
		return abi.SECCOMP_RET_ERRNO | data, nil
	case specs.ActKill, specs.ActKillThread:
		return abi.SECCOMP_RET_KILL_THREAD, nil
	case specs.ActKillProcess:
		return abi.SECCOMP_RET_KILL_PROCESS, nil
	case specs.ActTrap:
		return abi.SECCOMP_RET_TRAP, nil
	case specs.ActTrace:
		return abi.SECCOMP_RET_TRACE | data, nil
	case specs.ActLog:
		return abi.SECCOMP_RET_LOG, nil
	}
	return 0, fmt.Errorf("action %q is not known", a)
}
