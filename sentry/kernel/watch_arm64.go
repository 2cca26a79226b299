package kernel

import "lazaret/platform"

// watchState is empty: this architecture's debug registers are a register set.
//
// TODO: NT_ARM_HW_WATCH and NT_ARM_HW_BREAK.
type watchState struct{}

func (t *Task) beginWatch()                   {}
func (t *Task) endWatch(*platform.Event) bool { return false }
