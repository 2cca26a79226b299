package loader

import (
	"encoding/binary"
	"testing"

	"lazaret/sentry/auth"
	"lazaret/sentry/uio"
	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// bytesFile is a file with these bytes.
type bytesFile []byte

func (b bytesFile) Read(_ *vfs.Context, _ *vfs.File, dst uio.Bufs, pos *int64) (int, error) {
	if *pos < 0 || *pos >= int64(len(b)) {
		return 0, nil
	}
	n := 0
	for _, d := range dst {
		n += copy(d, b[min(int64(len(b)), *pos+int64(n)):])
	}
	return n, nil
}

func (b bytesFile) Write(*vfs.Context, *vfs.File, uio.Bufs, *int64) (int, error) {
	return 0, abi.EBADF
}
func (b bytesFile) Release(*vfs.File) {}

// header returns an ELF header and one program header.
func header(typ uint32, off, vaddr, filesz, memsz uint64) []byte {
	le := binary.LittleEndian
	b := make([]byte, ehdrSize+phdrSize+64)
	copy(b, "\x7fELF\x02\x01\x01")
	le.PutUint16(b[16:], abi.ET_EXEC)
	le.PutUint16(b[18:], elfMachine)
	le.PutUint64(b[32:], ehdrSize)
	le.PutUint16(b[54:], phdrSize)
	le.PutUint16(b[56:], 1)
	p := b[ehdrSize:]
	le.PutUint32(p, typ)
	le.PutUint64(p[8:], off)
	le.PutUint64(p[16:], vaddr)
	le.PutUint64(p[32:], filesz)
	le.PutUint64(p[40:], memsz)
	return b
}

// FuzzParseELF: what is accepted has segments within the address space and the file.
func FuzzParseELF(f *testing.F) {
	f.Add(header(abi.PT_LOAD, 0, 0x400000, 100, 200))
	f.Add(header(abi.PT_LOAD, 0, 1<<47-4096, 4096, 4096))
	f.Add(header(abi.PT_LOAD, ^uint64(0)-4095, 0x1000, 8192, 8192))
	f.Add(header(abi.PT_INTERP, 64, 0, 16, 16))
	f.Add([]byte("\x7fELF"))
	ctx := &vfs.Context{Creds: &auth.Creds{UserNS: auth.NewInitial()}}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := vfs.NewAnonFile(ctx, "[elf]", bytesFile(b), abi.O_RDONLY, vfs.ModeRead)
		if err != nil {
			t.Fatal(err)
		}
		defer file.DecRef()
		e, err := parseELF(ctx, file)
		if err != nil {
			return
		}
		if e.span.Start > e.span.End || e.span.End > 1<<47 || e.align&(e.align-1) != 0 || len(e.interp) > maxInterpLen {
			t.Fatalf("accepted %+v", e)
		}
		for _, p := range e.phdrs {
			if p.typ == abi.PT_LOAD && p.memsz > 0 && (p.filesz > p.memsz || p.vaddr+p.memsz < p.vaddr || p.off+p.filesz < p.off) {
				t.Fatalf("accepted segment %+v", p)
			}
		}
	})
}

// FuzzParseShebang: an interpreter is a word, and its argument has no blanks around it.
func FuzzParseShebang(f *testing.F) {
	for _, s := range []string{"/bin/sh\n", " /usr/bin/env  python3 -u \nx", "\n", "", " \t", "/a\x00b c", "/long"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, line []byte, cut bool) {
		interp, arg, err := parseShebang(line, cut)
		if err != nil {
			return
		}
		if interp == "" {
			t.Fatal("accepted without an interpreter")
		}
		for _, c := range interp {
			if c == ' ' || c == '\t' || c == '\n' || c == 0 {
				t.Fatalf("interpreter %q", interp)
			}
		}
		if arg != "" && (arg[0] == ' ' || arg[0] == '\t' || len(arg) > len(line)) {
			t.Fatalf("argument %q", arg)
		}
	})
}
