package loader

import (
	"lazaret/platform"
	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// mapped is where an ELF file ended up.
type mapped struct {
	bias       uint64 // added to every address in the file
	entry      abi.Addr
	phdr       abi.Addr      // the program header table in memory, 0 if no segment holds it
	end        abi.Addr      // end of the last segment with data: where brk starts
	code, data abi.AddrRange // for /proc
}

// mapELF maps the segments. hint is the preferred base of ET_DYN, 0 for anywhere.
func mapELF(ctx *vfs.Context, m *mm.MM, e *elfFile, hint abi.Addr) (*mapped, error) {
	out := &mapped{}
	if e.typ == abi.ET_DYN {
		base, err := reserve(m, e, hint)
		if err != nil {
			return nil, err
		}
		out.bias = uint64(base - e.span.Start)
	}
	for i := range e.phdrs {
		p := &e.phdrs[i]
		if p.typ != abi.PT_LOAD || p.memsz == 0 {
			continue
		}
		if err := mapSegment(ctx, m, e, p, out.bias); err != nil {
			return nil, err
		}
		if p.off <= e.phoff && e.phoff+uint64(len(e.phdrs)*phdrSize) <= p.off+p.filesz {
			out.phdr = abi.Addr(e.phoff - p.off + p.vaddr + out.bias)
		}
		r := abi.AddrRange{Start: abi.Addr(p.vaddr + out.bias), End: abi.Addr(p.vaddr + p.filesz + out.bias)}
		if p.flags&abi.PF_X != 0 {
			out.code = r
		} else if p.flags&abi.PF_W != 0 {
			out.data = r
		}
		out.end = max(out.end, abi.Addr(p.vaddr+p.memsz+out.bias))
	}
	out.entry = abi.Addr(e.entry + out.bias)
	return out, nil
}

// reserve finds room for the whole span of a position independent file.
func reserve(m *mm.MM, e *elfFile, hint abi.Addr) (abi.Addr, error) {
	size := e.span.Len()
	if e.align > abi.PageSize {
		size += e.align
	}
	base, err := m.MMap(mm.MapOpts{Addr: hint, Len: size, MaxProt: platform.Read | platform.Write | platform.Exec, NoReserve: true})
	if err != nil {
		return 0, err
	}
	if err := m.Munmap(base, size); err != nil {
		return 0, err
	}
	return (base + abi.Addr(e.align) - 1) &^ abi.Addr(e.align-1), nil
}

// mapSegment maps one PT_LOAD: the file's pages, then zeroes up to memsz.
func mapSegment(ctx *vfs.Context, m *mm.MM, e *elfFile, p *progHeader, bias uint64) error {
	start := abi.Addr(p.vaddr + bias)
	pageStart := start.RoundDown()
	fileEnd := start + abi.Addr(p.filesz)
	filePages, _ := fileEnd.RoundUp()
	memEnd, _ := (start + abi.Addr(p.memsz)).RoundUp()
	all := platform.Read | platform.Write | platform.Exec
	if p.filesz > 0 {
		mapper, ok := e.file.Ops.(vfs.Mapper)
		if !ok {
			return abi.ENOEXEC
		}
		obj, err := mapper.Mmap(ctx, e.file, uint32(p.prot()), abi.MAP_PRIVATE)
		if err != nil {
			return err
		}
		_, err = m.MMap(mm.MapOpts{
			Addr: pageStart, Len: uint64(filePages - pageStart), Prot: p.prot(), MaxProt: all, Fixed: true, Segment: true,
			Object: obj, Off: p.off &^ abi.PageMask, File: e.file,
		})
		if err != nil {
			return err
		}
	} else {
		filePages = pageStart
	}
	if p.memsz > p.filesz && p.filesz > 0 && p.prot()&platform.Write != 0 && fileEnd < filePages {
		if err := m.ZeroOut(fileEnd, uint64(filePages-fileEnd)); err != nil {
			return err
		}
	}
	if memEnd > filePages {
		_, err := m.MMap(mm.MapOpts{Addr: filePages, Len: uint64(memEnd - filePages), Prot: p.prot(), MaxProt: all, Fixed: true})
		return err
	}
	return nil
}
