package syscalls

// groups are the rows of the table, a group a family.
func groups() [][]Row {
	return [][]Row{
		rwRows, openRows, statRows, fdRows, nameRows, attrRows, xattrRows, mmRows, procRows, procArchRows, waitRows, execRows, signalRows,
		credRows, capRows, limitRows, timeRows, settimeRows, pollRows, pipeRows, futexRows, systemRows, legacyRows,
		prctlRows, seccompRows, spliceRows, anonRows, timerRows, pidfdRows, procVMRows, futex2Rows, schedAttrRows, legacyTimeRows, socketRows, mountRows, policyRows, ptraceRows, shmRows, semRows, msgRows, mqueueRows, absentRows, absentArchRows,
	}
}
