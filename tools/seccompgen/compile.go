//go:build cgo

package main

import (
	"fmt"
	"os"

	lib "github.com/seccomp/libseccomp-golang"

	"lazaret/runsc/seccomp"
)

var archs = map[string]lib.ScmpArch{"amd64": lib.ArchAMD64, "arm64": lib.ArchARM64}

// binaryTree makes libseccomp look calls up in a tree instead of one by one.
const binaryTree = 2

// compile turns a filter into BPF for an architecture.
func compile(f seccomp.Filter, arch string) ([]byte, error) {
	filter, err := newFilter(archs[arch])
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", f.Name, arch, err)
	}
	defer filter.Release()
	for _, r := range f.Rules(arch) {
		if err := addRule(filter, r); err != nil {
			return nil, fmt.Errorf("%s/%s: %s: %w", f.Name, arch, r.Call, err)
		}
	}
	call, err := lib.GetSyscallFromName(seccomp.KillCall)
	if err != nil {
		return nil, err
	}
	if err := filter.AddRuleExact(call, lib.ActKillProcess); err != nil {
		return nil, fmt.Errorf("%s/%s: %s: %w", f.Name, arch, seccomp.KillCall, err)
	}
	return export(filter)
}

// export goes through a file: libseccomp before 2.6 cannot write into memory.
func export(filter *lib.ScmpFilter) ([]byte, error) {
	f, err := os.CreateTemp("", "seccompgen")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := filter.ExportBPF(f); err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	return os.ReadFile(f.Name())
}

// newFilter is empty: everything traps, calls of another architecture kill.
func newFilter(arch lib.ScmpArch) (*lib.ScmpFilter, error) {
	filter, err := lib.NewFilter(lib.ActTrap)
	if err != nil {
		return nil, err
	}
	native, err := lib.GetNativeArch()
	if err != nil {
		return nil, err
	}
	if native != arch {
		if err := filter.AddArch(arch); err != nil {
			return nil, err
		}
		if err := filter.RemoveArch(native); err != nil {
			return nil, err
		}
	}
	if err := filter.SetBadArchAction(lib.ActKillProcess); err != nil {
		return nil, err
	}
	return filter, filter.SetOptimize(binaryTree)
}

// addRule adds one rule: libseccomp knows only "all of these conditions", so that a
// condition with several values becomes several rules. It takes the number of this
// machine's architecture and translates by name.
func addRule(filter *lib.ScmpFilter, r seccomp.Rule) error {
	call, err := lib.GetSyscallFromName(r.Call)
	if err != nil {
		return err
	}
	if len(r.Args) == 0 {
		return filter.AddRuleExact(call, lib.ActAllow)
	}
	for _, conds := range expand(r.Args) {
		if err := filter.AddRuleConditionalExact(call, lib.ActAllow, conds); err != nil {
			return err
		}
	}
	return nil
}

// expand lists the combinations of the conditions' values.
func expand(args []seccomp.Cond) [][]lib.ScmpCondition {
	all := [][]lib.ScmpCondition{nil}
	for _, a := range args {
		var next [][]lib.ScmpCondition
		for _, head := range all {
			for _, v := range a.Values {
				next = append(next, append(head[:len(head):len(head)], condition(a, v)))
			}
		}
		all = next
	}
	return all
}

func condition(a seccomp.Cond, value uint64) lib.ScmpCondition {
	switch {
	case a.Op == seccomp.NotEq:
		return lib.ScmpCondition{Argument: a.Arg, Op: lib.CompareNotEqual, Operand1: value}
	case a.Mask != 0:
		return lib.ScmpCondition{Argument: a.Arg, Op: lib.CompareMaskedEqual, Operand1: a.Mask, Operand2: value}
	}
	return lib.ScmpCondition{Argument: a.Arg, Op: lib.CompareEqual, Operand1: value}
}

// callNames lists the names of an architecture's system calls, a line for each number.
func callNames(arch string) []byte {
	var text []byte
	for nr := range lib.ScmpSyscall(seccomp.MaxCallNumber) {
		name, err := nr.GetNameByArch(archs[arch])
		if err != nil {
			name = ""
		}
		text = append(append(text, name...), '\n')
	}
	return text
}
