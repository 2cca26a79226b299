package abi

// System calls that are newer than Debian 12's headers; their numbers are the same on all
// architectures.
const (
	SYS_CACHESTAT     = 451
	SYS_FCHMODAT2     = 452
	SYS_FUTEX_WAKE    = 454
	SYS_FUTEX_WAIT    = 455
	SYS_FUTEX_REQUEUE = 456
	SYS_STATMOUNT     = 457
	SYS_LISTMOUNT     = 458
	SYS_MSEAL         = 462
)
