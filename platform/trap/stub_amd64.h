// For the code of stubs, which runs in processes that are not Go any more. forkTemplate's
// offsets into R12 are those of forkParams (fork_amd64.go); the others are in
// layout_amd64.go, which says what each word is for.

#define SYS_write 1
#define SYS_mmap 9
#define SYS_mprotect 10
#define SYS_munmap 11
#define SYS_rt_sigaction 13
#define SYS_rt_sigprocmask 14
#define SYS_clone 56
#define SYS_exit 60
#define SYS_getppid 110
#define SYS_setsid 112
#define SYS_capset 126
#define SYS_sigaltstack 131
#define SYS_prctl 157
#define SYS_arch_prctl 158
#define SYS_setrlimit 160
#define SYS_futex 202
#define SYS_exit_group 231
#define SYS_seccomp 317

// Addresses of layout_amd64.go.
#define AREA_BASE 0x7ffe00000000
#define AREA_LEN 0x80000000
#define CODE_BASE 0x7fffffff0000
#define CODE_END 0x7fffffff1000
#define DATA_BASE 0x7fffffff1000
#define DATA_END 0x7fffffff2000
#define REQ_BASE 0x7fffffff8000
#define TOP 0x7ffffffff000

// Offsets in the data page.
#define DATA_MASK 0x200
#define DATA_PROG 0x210
#define DATA_FSGS 0x220

// Offsets in the request page.
#define REQ_SEQ 0
#define REQ_KIND 4
#define REQ_COUNT 8
#define REQ_EVENT 16
#define REQ_FILE 24
#define REQ_CHILD 32
#define REQ_PARENT 40
#define REQ_STACK 48
#define REQ_RESULT 56
#define REQ_HOLD 64
#define REQ_OPS 128

// Offsets in a slot.
#define SLOT_TOP 32704 // slotLen-64
#define S_POST 0x00
#define S_KIND 0x04
#define S_FRAME 0x08
#define S_FP 0x10
#define S_FS 0x18
#define S_GS 0x20
#define S_HOST_SLEEPS 0x28
#define S_GO 0x40
#define S_STUB_SLEEPS 0x44
#define S_PENDING 0x48
#define S_FLAGS 0x4c
#define S_NEW_FS 0x50
#define S_NEW_GS 0x58
#define S_SPIN 0x60
#define S_MASKED 0x64
#define S_XMASK 0x68
#define S_ANSWERED 0x70
#define S_REGS 0x80
#define S_IRET 0x100
#define S_ALTSTACK 0x130
#define S_SELF 0x148
#define S_MAGIC 0x150
#define S_END 0x158
#define S_BACK 0x160
#define S_FPAREA 0x180
#define S_LOCAL 0xd00

// What S_MAGIC holds, and the numbers of calls that S_LOCAL has answers for.
#define MAGIC 0x6c7a7274
#define LOCALS 192

// Offsets in struct rt_sigframe and from ucontext (the frame starts with one word).
#define F_FPSTATE 232
#define F_SIGNO 312
#define F_CODE 320
#define UC_RSP 160
#define UC_RIP 168
