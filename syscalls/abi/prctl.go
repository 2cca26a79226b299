package abi

// Options of prctl(2) and values of seccomp(2), pidfds, splices, memfds and futexes that
// the generated files do not have.
const (
	PR_GET_AUXV         = 0x41555856
	PR_SET_MDWE         = 65
	PR_GET_MDWE         = 66
	PR_SET_MEMORY_MERGE = 67
	PR_GET_MEMORY_MERGE = 68

	PIDFD_THREAD                      = 0x80
	PIDFD_SIGNAL_THREAD               = 1
	PIDFD_SIGNAL_THREAD_GROUP         = 2
	PIDFD_SIGNAL_PROCESS_GROUP        = 4
	SPLICE_F_MOVE                     = 1
	SPLICE_F_NONBLOCK                 = 2
	SPLICE_F_MORE                     = 4
	SPLICE_F_GIFT                     = 8
	FUTEX2_SIZE_MASK                  = 3
	FUTEX2_SIZE_U32                   = 2
	FUTEX2_PRIVATE                    = 0x80
	SECCOMP_NOTIF_SIZE         uint16 = 80
	SECCOMP_NOTIF_RESP_SIZE    uint16 = 24
	SECCOMP_DATA_SIZE          uint16 = 64
)
