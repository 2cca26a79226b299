package loader

import (
	"strings"

	"lazaret/sentry/mm"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Params say what to load.
type Params struct {
	Ctx      *vfs.Context
	MM       *mm.MM    // fresh and empty; the caller drops it when Load fails
	File     *vfs.File // opened for execution (OpenExec); Load takes no reference
	Filename string    // what execve named, for AT_EXECFN and #! arguments
	Closing  bool      // Filename will name nothing after execve: a script cannot be read by it
	Argv     []string
	Envv     []string
	Random   [16]byte // AT_RANDOM

	StackLimit uint64 // RLIMIT_STACK in bytes

	// Identity for the auxiliary vector, as the new program's user namespace sees it.
	UID, EUID, GID, EGID uint32
	Secure               bool

	HWCap, HWCap2 uint64
	MinSigStack   uint64
	VDSO          *VDSO // nil: none

	// OpenExec opens an interpreter for execution with the checks of execve(2).
	OpenExec func(path string) (*vfs.File, error)
}

// VDSO is the shared object that the kernel gives every program: code pages that follow
// its data pages.
type VDSO struct {
	Data, Code mm.MapOpts // Len, Prot, MaxProt, Object, Off, Name are set
}

// Image is a loaded program.
type Image struct {
	Entry abi.Addr
	SP    abi.Addr
	File  *vfs.File // the ELF file, with a reference for the caller: /proc/PID/exe
	VDSO  abi.Addr  // address of the vDSO's code, 0 if none
}

// maxInterpreters is how many #! lines may follow one another (execve(2)).
const maxInterpreters = 5

// Load builds the program in p.MM. Errors are those of execve(2).
func Load(p *Params) (*Image, error) {
	file, err := resolveScript(p)
	if err != nil {
		return nil, err
	}
	defer file.DecRef()
	exe, err := parseELF(p.Ctx, file)
	if err != nil {
		return nil, err
	}
	return loadELF(p, exe)
}

// resolveScript follows #! lines, rewriting p.Argv, until it finds a file that is not a
// script, which it returns with a reference.
func resolveScript(p *Params) (*vfs.File, error) {
	file := p.File
	file.IncRef()
	name := p.Filename
	for depth := 0; ; depth++ {
		var head [256]byte
		n, err := readSome(p.Ctx, file, head[:], 0)
		if err != nil {
			file.DecRef()
			return nil, err
		}
		if n < 2 || head[0] != '#' || head[1] != '!' {
			return file, nil
		}
		file.DecRef()
		if p.Closing {
			return nil, abi.ENOENT
		}
		if depth == maxInterpreters {
			return nil, abi.ELOOP
		}
		interp, arg, err := parseShebang(head[2:n], n == len(head))
		if err != nil {
			return nil, err
		}
		argv := []string{interp}
		if arg != "" {
			argv = append(argv, arg)
		}
		argv = append(argv, name)
		if len(p.Argv) > 1 {
			argv = append(argv, p.Argv[1:]...)
		}
		p.Argv, name = argv, interp
		if file, err = p.OpenExec(interp); err != nil {
			return nil, err
		}
	}
}

// parseShebang splits the line after "#!" into the interpreter and its one optional
// argument. cut says that the line may go on past what was read.
func parseShebang(line []byte, cut bool) (interp, arg string, err error) {
	s := string(line)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	} else if cut && !strings.ContainsAny(strings.TrimLeft(s, " \t"), " \t\x00") {
		return "", "", abi.ENOEXEC // the interpreter's own name is cut off
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	s = strings.Trim(s, " \t")
	if s == "" {
		return "", "", abi.ENOEXEC
	}
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", nil
	}
	return s[:i], strings.TrimLeft(s[i:], " \t"), nil
}

func loadELF(p *Params, exe *elfFile) (*Image, error) {
	p.MM.BeginLoad()
	hint := abi.Addr(0)
	if exe.typ == abi.ET_DYN && exe.interp != "" {
		hint = p.MM.Layout().PIEBase
	}
	main, err := mapELF(p.Ctx, p.MM, exe, hint)
	if err != nil {
		return nil, err
	}
	p.MM.SetBrkStart(main.end)
	ranges := mm.Ranges{Code: main.code, Data: main.data}
	img := &Image{Entry: main.entry}
	base := abi.Addr(0)
	if exe.interp != "" {
		if img.Entry, base, err = loadInterp(p, exe.interp); err != nil {
			return nil, err
		}
	}
	if p.VDSO != nil {
		if img.VDSO, err = mapVDSO(p.MM, p.VDSO); err != nil {
			return nil, err
		}
	}
	if img.SP, err = buildStack(p.MM, p, auxVector(p, exe, main, base, img.VDSO), exe.execStack, &ranges); err != nil {
		return nil, err
	}
	p.MM.SetRanges(ranges)
	if err := p.MM.EndLoad(); err != nil {
		return nil, abi.ENOMEM
	}
	exe.file.IncRef()
	img.File = exe.file
	return img, nil
}

// loadInterp maps the dynamic linker and returns its entry point and base.
func loadInterp(p *Params, path string) (entry, base abi.Addr, err error) {
	f, err := p.OpenExec(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.DecRef()
	// The kernel's words differ for a linker that is too short for a header (elf_read).
	var h [ehdrSize]byte
	if err := readAt(p.Ctx, f, h[:], 0); err != nil {
		return 0, 0, abi.EIO
	}
	ld, err := parseELF(p.Ctx, f)
	if err == abi.ENOEXEC {
		return 0, 0, abi.ELIBBAD
	}
	if err != nil {
		return 0, 0, err
	}
	m, err := mapELF(p.Ctx, p.MM, ld, 0)
	if err != nil {
		return 0, 0, err
	}
	return m.entry, abi.Addr(m.bias) + ld.span.Start, nil
}

// mapVDSO maps the data pages and, right behind them, the code.
func mapVDSO(m *mm.MM, v *VDSO) (abi.Addr, error) {
	base, err := m.MMap(mm.MapOpts{Len: v.Data.Len + v.Code.Len, NoReserve: true})
	if err != nil {
		return 0, err
	}
	data, code := v.Data, v.Code
	data.Addr, data.Fixed = base, true
	code.Addr, code.Fixed = base+abi.Addr(v.Data.Len), true
	data.Populate, code.Populate = true, true // two faults less in most programs
	if _, err := m.MMap(data); err != nil {
		return 0, err
	}
	return m.MMap(code)
}

func auxVector(p *Params, exe *elfFile, main *mapped, base, vdso abi.Addr) []auxEntry {
	var aux []auxEntry
	if vdso != 0 {
		aux = append(aux, auxEntry{abi.AT_SYSINFO_EHDR, uint64(vdso)})
	}
	secure := uint64(0)
	if p.Secure {
		secure = 1
	}
	return append(aux,
		auxEntry{abi.AT_MINSIGSTKSZ, p.MinSigStack},
		auxEntry{abi.AT_HWCAP, p.HWCap},
		auxEntry{abi.AT_PAGESZ, abi.PageSize},
		auxEntry{abi.AT_CLKTCK, 100},
		auxEntry{abi.AT_PHDR, uint64(main.phdr)},
		auxEntry{abi.AT_PHENT, phdrSize},
		auxEntry{abi.AT_PHNUM, uint64(len(exe.phdrs))},
		auxEntry{abi.AT_BASE, uint64(base)},
		auxEntry{abi.AT_FLAGS, 0},
		auxEntry{abi.AT_ENTRY, uint64(main.entry)},
		auxEntry{abi.AT_UID, uint64(p.UID)},
		auxEntry{abi.AT_EUID, uint64(p.EUID)},
		auxEntry{abi.AT_GID, uint64(p.GID)},
		auxEntry{abi.AT_EGID, uint64(p.EGID)},
		auxEntry{abi.AT_SECURE, secure},
		auxEntry{abi.AT_HWCAP2, p.HWCap2},
	)
}
