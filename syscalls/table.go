package syscalls

import (
	"fmt"
	"sync/atomic"

	"lazaret/sentry/kernel"
	"lazaret/sentry/loader"
	"lazaret/syscalls/abi"
)

// Handler carries out one system call. The result goes to the application as it is; an
// error becomes its negated number.
type Handler func(t *kernel.Task, a *abi.Args) (uint64, error)

// Support is how far a call does what Linux does.
type Support uint8

// Levels of support.
const (
	Absent  Support = iota // fails with Row.Errno for every argument
	Partial                // Row.Note names the gap
	Full
)

// String returns the word that documents use.
func (s Support) String() string { return [...]string{"absent", "partial", "full"}[s] }

// Kind is how an argument is shown by --strace.
type Kind uint8

// Kinds of argument.
const (
	Int   Kind = iota // signed decimal
	Hex               // flags, addresses, sizes
	FD                // file descriptor; AT_FDCWD by name
	Path              // string in application memory
	Buf               // pointer to data
	Sig               // signal number
	Octal             // mode
)

// Row describes one system call.
type Row struct {
	Nr      int
	Name    string
	Fn      Handler // nil for Absent
	Support Support
	Errno   abi.Errno // Absent: what it fails with
	Note    string    // Partial: the gap; Absent: why
	Args    []Kind
}

// maxNr bounds the numbers of the table.
const maxNr = 512

// Table is the system call table of one architecture.
type Table struct {
	// VDSO is mapped into every program; nil for none. It is set before the first task
	// starts.
	VDSO *loader.VDSO

	rows   [maxNr]*Row
	strace atomic.Pointer[tracer] // nil: off
	kernel atomic.Pointer[kernel.Kernel]
}

// full, partial and absent make rows.
func full(nr int, name string, fn Handler, args ...Kind) Row {
	return Row{Nr: nr, Name: name, Fn: fn, Support: Full, Args: args}
}

func partial(nr int, name string, fn Handler, gap string, args ...Kind) Row {
	return Row{Nr: nr, Name: name, Fn: fn, Support: Partial, Note: gap, Args: args}
}

func absent(nr int, name string, errno abi.Errno, why string) Row {
	return Row{Nr: nr, Name: name, Errno: errno, Note: why}
}

// New returns the table of this architecture. It panics when two rows have the same
// number, which a test would show.
func New() *Table {
	t := &Table{}
	for _, group := range groups() {
		for i := range group {
			r := &group[i]
			if old := t.rows[r.Nr]; old != nil {
				panic(fmt.Sprintf("syscalls: %s and %s are both %d", old.Name, r.Name, r.Nr))
			}
			t.rows[r.Nr] = r
		}
	}
	return t
}

// Lookup returns the row of number nr, nil if there is none.
func (tb *Table) Lookup(nr uint64) *Row {
	if nr >= maxNr {
		return nil
	}
	return tb.rows[nr]
}

// Rows calls fn for every row in the order of the numbers.
func (tb *Table) Rows(fn func(*Row)) {
	for _, r := range tb.rows {
		if r != nil {
			fn(r)
		}
	}
}

// Dispatch carries out system call nr for t.
func (tb *Table) Dispatch(t *kernel.Task, nr uint64, a *abi.Args) (uint64, error) {
	if tr := tb.strace.Load(); tr != nil {
		return tb.traced(tr, t, nr, a)
	}
	return tb.call(t, tb.Lookup(nr), a)
}

// call carries out the call of row r, nil for one that nobody knows.
func (*Table) call(t *kernel.Task, r *Row, a *abi.Args) (uint64, error) {
	if r == nil {
		return 0, abi.ENOSYS
	}
	if r.Fn == nil {
		return 0, r.Errno
	}
	return r.Fn(t, a)
}

// Numbers returns the numbers of all calls of this architecture by name.
func Numbers() map[string]int {
	m := map[string]int{}
	New().Rows(func(r *Row) { m[r.Name] = r.Nr })
	return m
}
