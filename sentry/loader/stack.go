package loader

import (
	"encoding/binary"

	"lazaret/platform"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// Limits of execve(2): one string, and all of them with their pointers: a quarter of the
// stack limit, at most 6 MiB.
const (
	MaxArgLen   = 32 * abi.PageSize
	maxArgTotal = 6 << 20
	minArgTotal = 32 * abi.PageSize
	maxStack    = 1 << 30
)

type auxEntry struct{ key, val uint64 }

// stack builds the initial stack from the top down in memory of its own, then copies it
// out in one piece.
type stack struct {
	top abi.Addr
	buf []byte // the bytes below top; buf[len-1] is at top-1
	n   int    // bytes used, counted from the top
}

func (s *stack) push(b []byte) abi.Addr {
	s.n += len(b)
	copy(s.buf[len(s.buf)-s.n:], b)
	return s.top - abi.Addr(s.n)
}

func (s *stack) pushString(v string) abi.Addr {
	s.n++
	s.n += len(v)
	copy(s.buf[len(s.buf)-s.n:], v)
	return s.top - abi.Addr(s.n)
}

func (s *stack) align(a int) { s.n = (s.n + a - 1) &^ (a - 1) }

// argBytes returns how many bytes the strings and pointers take, or E2BIG.
func argBytes(p *Params) (int, error) {
	limit := uint64(maxArgTotal)
	if l := p.StackLimit / 4; l < limit {
		limit = max(l, minArgTotal)
	}
	total := uint64(0)
	for _, list := range [2][]string{p.Argv, p.Envv} {
		for _, v := range list {
			if len(v)+1 > MaxArgLen {
				return 0, abi.E2BIG
			}
			total += uint64(len(v)) + 1 + 8
		}
	}
	if total > limit {
		return 0, abi.E2BIG
	}
	return int(total), nil
}

// buildStack maps the stack and fills it; it returns the initial stack pointer, and in
// ranges where things are for /proc.
func buildStack(m *mm.MM, p *Params, aux []auxEntry, execStack bool, ranges *mm.Ranges) (abi.Addr, error) {
	args, err := argBytes(p)
	if err != nil {
		return 0, err
	}
	top, err := mapStack(m, p, args, execStack)
	if err != nil {
		return 0, err
	}
	s := &stack{top: top, buf: make([]byte, args+len(p.Filename)+len(aux)*16+4096)}
	s.push(make([]byte, 8)) // Linux ends the stack with a null word
	execfn := s.pushString(p.Filename)
	envp := s.pushStrings(p.Envv)
	argv := s.pushStrings(p.Argv)
	argStart := top - abi.Addr(s.n)
	argEnd := execfn
	if len(envp) > 0 {
		argEnd = envp[0]
	}
	ranges.Args = abi.AddrRange{Start: argStart, End: argEnd}
	ranges.Env = abi.AddrRange{Start: argEnd, End: execfn}
	plat := s.pushString(platformName)
	random := s.push(p.Random[:])
	s.align(16)
	aux = append(aux, auxEntry{abi.AT_EXECFN, uint64(execfn)}, auxEntry{abi.AT_PLATFORM, uint64(plat)},
		auxEntry{abi.AT_RANDOM, uint64(random)}, auxEntry{abi.AT_NULL, 0})
	sp := s.pushVectors(argv, envp, aux)
	raw := s.buf[len(s.buf)-s.n:]
	if err := m.CopyOut(sp, raw); err != nil {
		return 0, abi.ENOMEM
	}
	ranges.Auxv, ranges.StackStart = auxBytes(aux), sp
	return sp, nil
}

// pushStrings pushes the strings so that the first is lowest, as Linux has them, and
// returns their addresses in order.
func (s *stack) pushStrings(list []string) []abi.Addr {
	addrs := make([]abi.Addr, len(list))
	for i := len(list) - 1; i >= 0; i-- {
		addrs[i] = s.pushString(list[i])
	}
	return addrs
}

func auxBytes(aux []auxEntry) []byte {
	var b []byte
	for _, e := range aux {
		b = binary.LittleEndian.AppendUint64(b, e.key)
		b = binary.LittleEndian.AppendUint64(b, e.val)
	}
	return b
}

// pushVectors pushes auxv, envp, argv and argc, so that the stack pointer at argc is
// 16-byte aligned.
func (s *stack) pushVectors(argv, envp []abi.Addr, aux []auxEntry) abi.Addr {
	var b []byte
	b = binary.LittleEndian.AppendUint64(b, uint64(len(argv)))
	for _, list := range [2][]abi.Addr{argv, envp} {
		for _, a := range list {
			b = binary.LittleEndian.AppendUint64(b, uint64(a))
		}
		b = binary.LittleEndian.AppendUint64(b, 0)
	}
	b = append(b, auxBytes(aux)...)
	if (s.n+len(b))%16 != 0 {
		s.n += 16 - (s.n+len(b))%16
	}
	return s.push(b)
}

// mapStack maps the stack of a new program and returns its top. It starts with room for
// the arguments and grows down on demand.
func mapStack(m *mm.MM, p *Params, args int, execStack bool) (abi.Addr, error) {
	size := (uint64(args) + 128<<10 + abi.PageMask) &^ abi.PageMask
	prot := platform.Read | platform.Write
	if execStack {
		prot |= platform.Exec
	}
	top := m.Layout().StackTop
	base, err := m.MMap(mm.MapOpts{
		Addr: top - abi.Addr(size), Len: size, Prot: prot, MaxProt: platform.Read | platform.Write | platform.Exec,
		Fixed: true, GrowsDown: true, Name: "[stack]",
	})
	if err != nil {
		return 0, err
	}
	return base + abi.Addr(size), nil
}
