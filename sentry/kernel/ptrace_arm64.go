package kernel

import (
	"encoding/binary"

	"lazaret/syscalls/abi"
)

const (
	regsSize   = 34 * 8 // sizeof(struct user_pt_regs)
	fpregsSize = 528    // sizeof(struct user_fpsimd_state)
)

func (o *Task) regsBytes() []byte {
	b := make([]byte, 0, regsSize)
	for _, x := range o.regs.X {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	b = binary.LittleEndian.AppendUint64(b, o.regs.Sp)
	b = binary.LittleEndian.AppendUint64(b, o.regs.Pc)
	return binary.LittleEndian.AppendUint64(b, o.regs.Pstate)
}

func (o *Task) setRegsBytes(b []byte) error {
	if len(b) < regsSize {
		return abi.EIO
	}
	for i := range o.regs.X {
		o.regs.X[i] = binary.LittleEndian.Uint64(b[i*8:])
	}
	o.regs.Sp = binary.LittleEndian.Uint64(b[31*8:])
	o.regs.Pc = binary.LittleEndian.Uint64(b[32*8:])
	o.regs.Pstate = binary.LittleEndian.Uint64(b[33*8:]) & pstateUser
	return nil
}

func (t *Task) ptraceArch(*Task, int64, uint64, uint64) error { return abi.EIO }
