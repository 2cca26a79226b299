package abi

// Commands of msgctl(2), semctl(2) and shmctl(2) that need no permission.
const (
	MSG_STAT_ANY = 13
	SEM_STAT_ANY = 20
	SHM_STAT_ANY = 15
)
