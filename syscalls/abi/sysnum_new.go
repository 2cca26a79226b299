package abi

// More system calls that are newer than Debian 12's headers.
const (
	SYS_MAP_SHADOW_STACK  = 453
	SYS_LSM_GET_SELF_ATTR = 459
	SYS_LSM_SET_SELF_ATTR = 460
	SYS_LSM_LIST_MODULES  = 461
)
