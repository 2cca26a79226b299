package loader

import (
	"encoding/binary"

	"lazaret/platform"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Limits on what is read of a program file.
const (
	maxPhdrs     = 65536 / phdrSize // Linux: the table fits in 64 KiB
	maxInterpLen = abi.PATH_MAX
	ehdrSize     = 64
	phdrSize     = 56
)

// progHeader is Elf64_Phdr.
type progHeader struct {
	typ, flags                       uint32
	off, vaddr, filesz, memsz, align uint64
}

func (p *progHeader) prot() platform.Access {
	var a platform.Access
	if p.flags&abi.PF_R != 0 {
		a |= platform.Read
	}
	if p.flags&abi.PF_W != 0 {
		a |= platform.Write
	}
	if p.flags&abi.PF_X != 0 {
		a |= platform.Exec
	}
	return a
}

// elfFile is a parsed executable or shared object.
type elfFile struct {
	file      *vfs.File
	typ       uint16 // ET_EXEC or ET_DYN
	entry     uint64
	phoff     uint64
	phdrs     []progHeader
	interp    string        // path of PT_INTERP, empty if there is none
	span      abi.AddrRange // page-rounded range of all PT_LOAD, as linked
	align     uint64        // largest PT_LOAD alignment
	execStack bool
}

// readAt reads exactly len(b) bytes at off. ENOEXEC when the file is shorter.
func readAt(ctx *vfs.Context, f *vfs.File, b []byte, off uint64) error {
	if off > 1<<62 {
		return abi.ENOEXEC
	}
	n, err := readSome(ctx, f, b, int64(off))
	if err != nil {
		return err
	}
	if n < len(b) {
		return abi.ENOEXEC
	}
	return nil
}

func readSome(ctx *vfs.Context, f *vfs.File, b []byte, off int64) (int, error) {
	total := 0
	for total < len(b) {
		pos := off + int64(total)
		n, err := f.Ops.Read(ctx, f, uio.One(b[total:]), &pos)
		if err != nil {
			return total, err
		}
		if n == 0 {
			break
		}
		total += n
	}
	return total, nil
}

// parseELF reads and checks the headers. TRUST: every byte is the application's.
func parseELF(ctx *vfs.Context, f *vfs.File) (*elfFile, error) {
	var h [ehdrSize]byte
	if err := readAt(ctx, f, h[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if string(h[:4]) != "\x7fELF" || h[4] != 2 || h[5] != 1 || le.Uint16(h[18:]) != elfMachine {
		return nil, abi.ENOEXEC
	}
	e := &elfFile{file: f, typ: le.Uint16(h[16:]), entry: le.Uint64(h[24:]), phoff: le.Uint64(h[32:])}
	if e.typ != abi.ET_EXEC && e.typ != abi.ET_DYN {
		return nil, abi.ENOEXEC
	}
	n := int(le.Uint16(h[56:]))
	if le.Uint16(h[54:]) != phdrSize || n == 0 || n > maxPhdrs {
		return nil, abi.ENOEXEC
	}
	table := make([]byte, n*phdrSize)
	if err := readAt(ctx, f, table, e.phoff); err != nil {
		return nil, err
	}
	for ; len(table) > 0; table = table[phdrSize:] {
		e.phdrs = append(e.phdrs, progHeader{
			typ: le.Uint32(table), flags: le.Uint32(table[4:]), off: le.Uint64(table[8:]), vaddr: le.Uint64(table[16:]),
			filesz: le.Uint64(table[32:]), memsz: le.Uint64(table[40:]), align: le.Uint64(table[48:]),
		})
	}
	return e, e.checkHeaders(ctx)
}

func (e *elfFile) checkHeaders(ctx *vfs.Context) error {
	e.align = abi.PageSize
	e.execStack = false
	found := false
	for i := range e.phdrs {
		p := &e.phdrs[i]
		switch p.typ {
		case abi.PT_LOAD:
			if err := e.checkLoad(p, !found); err != nil {
				return err
			}
			found = true
		case abi.PT_INTERP:
			if e.interp != "" {
				continue
			}
			if p.filesz < 2 || p.filesz > maxInterpLen {
				return abi.ENOEXEC
			}
			b := make([]byte, p.filesz)
			if err := readAt(ctx, e.file, b, p.off); err == abi.ENOEXEC {
				return abi.EIO // elf_read of a name that the file does not hold
			} else if err != nil {
				return err
			}
			if b[len(b)-1] != 0 {
				return abi.ENOEXEC
			}
			e.interp = cString(b)
		case abi.PT_GNU_STACK:
			e.execStack = p.flags&abi.PF_X != 0
		}
	}
	if !found {
		return abi.ENOEXEC
	}
	return nil
}

func (e *elfFile) checkLoad(p *progHeader, first bool) error {
	if p.memsz == 0 {
		return nil
	}
	end := p.vaddr + p.memsz
	if p.filesz > p.memsz || end < p.vaddr || end > 1<<47 || p.off+p.filesz < p.off || p.off > 1<<62 ||
		p.off&abi.PageMask != p.vaddr&abi.PageMask {
		return abi.ENOEXEC
	}
	start := abi.Addr(p.vaddr).RoundDown()
	up, _ := abi.Addr(end).RoundUp()
	if first {
		e.span = abi.AddrRange{Start: start, End: up}
	}
	e.span.Start, e.span.End = min(e.span.Start, start), max(e.span.End, up)
	if a := p.align; a > e.align && a&(a-1) == 0 && a <= 1<<30 {
		e.align = a
	}
	return nil
}

func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
