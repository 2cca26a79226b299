// A program that knows how the platform runs it, and attacks what it finds in its own
// address space: the stub's code, its thread's slot, the request page. Nothing of that may
// reach its neighbours, which a witness checks all the while.
// usage: stub SEED SECONDS WORKERS
#include "lib.h"
#include <asm/prctl.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <ucontext.h>

// platform/trap's layout. On ptrace there is nothing at these addresses.
enum { SLOT = 32 << 10, SLOT_SELF = 0x148, SLOT_MAGIC = 0x150, MAGIC = 0x6c7a7274 };
#define AREA 0x7ffe00000000ull
#define CODE 0x7fffffff0000ull
#define REQUEST 0x7fffffff8000ull

static struct {
	u64 broken, checks, ends, slots;
} *said; // shared by all processes
static u64 slot; // of the thread that asks; 0 where there is none
static unsigned char *text; // writable and executable

// find_slot asks GS, which is the slot's address where the program has not set it.
static void find_slot(void)
{
	u64 base = 0, magic;
	if (syscall(SYS_arch_prctl, ARCH_GET_GS, &base) || base)
		return;
	struct iovec a = {&magic, 8}, b = {(void *)AREA, 8};
	if (process_vm_readv(getpid(), &a, 1, &b, 1, 0) > 0) // must not be readable by system calls
		__atomic_add_fetch(&said->broken, 1, __ATOMIC_RELAXED);
	__asm__ volatile("mov %%gs:0x150, %0" : "=r"(magic));
	if ((uint32_t)magic == MAGIC) {
		__asm__ volatile("mov %%gs:0x148, %0" : "=r"(slot));
		__atomic_add_fetch(&said->slots, 1, __ATOMIC_RELAXED);
	}
}

// somewhere is an address that a forger would like.
static u64 somewhere(void)
{
	switch (below(12)) {
	case 0: case 1: case 2:
		return CODE + below(0xe00);
	case 3:
		return CODE + 0x1000 + below(0x1000);
	case 4:
		return REQUEST + (below(0x1000) & ~7ull);
	case 5: case 6:
		return slot + (below(SLOT) & ~7ull);
	case 7:
		return AREA + below(64) * SLOT + (below(SLOT) & ~7ull);
	case 8:
		return (u64)text + below(4096);
	case 9:
		return (u64)&said + below(256);
	case 10:
		return PICK(((u64[]){0, -1ull, 0xffffffffff600000ull, 0xffff800000000000ull, 0x800000000000ull, 0x7ffffffff000ull, 1}));
	default:
		return rnd() >> below(64);
	}
}

// jump loads all registers and goes where they say.
static void jump(void)
{
	u64 r[16];
	for (int i = 0; i < 16; i++)
		r[i] = somewhere();
	if (chance(50)) // as from a handler, or from the gate
		r[7] = slot + 0x1000 + (below(SLOT - 0x1000) & ~7ull);
	__asm__ volatile("mov %0, %%r15\n mov 120(%%r15), %%rax\n push %%rax\n mov 0(%%r15), %%rax\n mov 8(%%r15), %%rbx\n mov 16(%%r15), %%rcx\n"
			 "mov 24(%%r15), %%rdx\n mov 32(%%r15), %%rsi\n mov 40(%%r15), %%rdi\n mov 48(%%r15), %%rbp\n"
			 "mov 64(%%r15), %%r8\n mov 72(%%r15), %%r9\n mov 80(%%r15), %%r10\n mov 88(%%r15), %%r11\n"
			 "mov 96(%%r15), %%r12\n mov 104(%%r15), %%r13\n mov 112(%%r15), %%r14\n" : : "r"(r) : "memory");
	if (chance(50))
		__asm__ volatile("ret");
	__asm__ volatile("pop %%r15\n mov %0, %%rsp\n jmp *%%r15" : : "r"(r[7]));
}

// forge makes a signal frame of what comes to mind and returns through it.
static void forge(void)
{
	struct {
		u64 ret;
		ucontext_t uc;
		siginfo_t si;
		char fp[4096] __attribute__((aligned(64)));
	} __attribute__((aligned(64))) f;
	memset(&f, 0, sizeof f);
	for (int i = 0; i < 16; i++)
		f.uc.uc_mcontext.gregs[i] = somewhere();
	f.uc.uc_mcontext.gregs[REG_RIP] = chance(70) ? somewhere() : (u64)text;
	f.uc.uc_mcontext.gregs[REG_EFL] = chance(70) ? 0x202 : rnd();
	f.uc.uc_mcontext.gregs[REG_CSGSFS] = chance(70) ? 0x002b000000000033ull : rnd();
	for (int i = 0; i < 512; i++)
		f.fp[i] = chance(50) ? 0 : rnd();
	f.uc.uc_mcontext.fpregs = chance(50) ? 0 : chance(50) ? (void *)f.fp : (void *)somewhere();
	*(u64 *)&f.uc.uc_sigmask = rnd();
	__asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n syscall" : : "r"(&f.uc) : "memory");
}

// ask makes system calls that name the stub's own memory.
static void ask(void)
{
	u64 at = somewhere() & ~4095ull, len = (1 + below(40)) << 12;
	int fd;
	switch (below(12)) {
	case 0:
		munmap((void *)at, len);
		break;
	case 1:
		mmap((void *)at, len, 7, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 2:
		mprotect((void *)at, len, 7);
		break;
	case 3:
		mremap(text, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)at);
		break;
	case 4:
		syscall(SYS_arch_prctl, chance(50) ? ARCH_SET_GS : ARCH_SET_FS, somewhere());
		break;
	case 5:
		syscall(SYS_sigaltstack, &(stack_t){(void *)(slot + (below(SLOT) & ~15ull)), 0, 4096 + below(SLOT)}, 0);
		raise(SIGURG);
		break;
	case 6:
		fd = open("/proc/self/mem", O_RDWR);
		for (int i = 0; i < 8; i++)
			if (pwrite(fd, &at, 8, somewhere()) > 0 || pread(fd, text, 8, somewhere()) > 0)
				continue;
		close(fd);
		break;
	case 7:
		syscall(SYS_set_tid_address, somewhere());
		syscall(SYS_set_robust_list, somewhere(), 24);
		syscall(SYS_rseq, somewhere(), 32, 0, 0);
		break;
	case 8:
		syscall(SYS_clone, CLONE_VM | (chance(50) ? CLONE_THREAD | CLONE_SIGHAND : SIGCHLD) | (chance(50) ? CLONE_SETTLS : 0), somewhere(),
			somewhere(), somewhere(), somewhere());
		break;
	case 9:
		syscall(below(450), somewhere(), somewhere(), somewhere(), somewhere(), somewhere(), somewhere());
		break;
	case 10:
		kill(getpid(), PICK(((int[]){SIGURG, SIGSTKFLT, SIGSYS, SIGTRAP, SIGCONT})));
		break;
	case 11:
		syscall(SYS_futex, somewhere(), below(13), below(3), 0, somewhere(), below(3));
		break;
	}
}

// execute runs instructions that the processor, or the platform, treats in its own way.
static void execute(void)
{
	static const unsigned char odd[][12] = {
		{0xcd, 0x80}, {0x0f, 0x34}, {0x0f, 0x05}, {0xf4}, {0x0f, 0x0b}, {0xcc}, {0xec}, {0x0f, 0x01, 0xf8}, // swapgs
		{0xf3, 0x48, 0x0f, 0xae, 0xdf}, // wrgsbase rdi
		{0xf3, 0x48, 0x0f, 0xae, 0xd7}, // wrfsbase rdi
		{0x8e, 0xe8}, {0x8e, 0xe0}, {0x8e, 0xd8}, // mov gs, fs, ds from eax
		{0x9c, 0x48, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x04, 0x00, 0x9d}, // pushf; or TF and AC; popf
		{0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}, // getpid, for ever
		{0x48, 0xcf}, {0xca, 0, 0}, {0x0f, 0xc7, 0x0f}, {0xf0, 0x0f, 0xc7, 0xc8}, {0x0f, 0x01, 0xd0}, // iretq, retf, cmpxchg8b, xgetbv
	};
	size_t n = 0;
	for (int i = 1 + below(6); i > 0; i--, n += 12)
		memcpy(text + n, PICK(odd), 12);
	memset(text + n, 0x90, 64);
	text[n + 64] = 0xc3;
	((void (*)(u64, u64, u64))text)(somewhere(), somewhere(), rnd());
}

// scribble writes over the slot while another thread of the process makes system calls.
static void *scribble(void *of)
{
	u64 s = (u64)of, until = now_ms() + 200;
	seed_rng(s ^ now_ms());
	while (now_ms() < until)
		for (int i = 0; i < 50; i++) {
			u64 v = chance(50) ? below(4) : somewhere();
			switch (below(4)) {
			case 0:
				*(volatile uint32_t *)(s + below(0x170 / 4) * 4) = v;
				break;
			case 1:
				*(volatile u64 *)(s + below(0x170 / 8) * 8) = v;
				break;
			case 2:
				*(volatile u64 *)(s + below(SLOT / 8) * 8) = v;
				break;
			case 3:
				*(volatile uint32_t *)(s + 0xd00 + below(192) * 4) = v; // the answers
				break;
			}
		}
	return 0;
}

static void attack(void)
{
	pthread_t t;
	find_slot();
	text = mmap(0, 8192, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chance(30)) { // faults do not end it
		struct sigaction sa = {.sa_handler = SIG_IGN};
		for (int sig = 1; sig < 32; sig++)
			sigaction(sig, &sa, 0);
	}
	int threads = below(3);
	if (slot && chance(60))
		for (int i = 0; i <= threads; i++)
			pthread_create(&t, 0, scribble, (void *)(slot + (chance(80) ? 0 : (below(5) - 2) * SLOT)));
	for (int i = 0; i < 200; i++)
		switch (below(6)) {
		case 0:
			if (chance(20))
				forge();
			break;
		case 1:
			if (chance(20))
				jump();
			break;
		case 2:
			if (chance(20))
				execute();
			break;
		case 3:
			for (int n = below(200); n > 0; n--)
				getppid(), getuid(), sched_yield();
			break;
		case 4:
			if (chance(5) && fork() == 0)
				pause();
			break;
		default:
			ask();
		}
}

// witness checks what nobody else may change: memory, vectors, answers, files.
static void witness(unsigned char *mem, size_t len, unsigned char mark, int file, pid_t self)
{
	char buf[512];
	double d = mark;
	int ok = getpid() == self && getuid() == 0 && pread(file, buf, sizeof buf, 0) == sizeof buf;
	for (size_t i = 0; i < sizeof buf; i++)
		ok &= (unsigned char)buf[i] == mark;
	for (size_t i = 0; i < len; i += 61)
		ok &= mem[i] == (unsigned char)(mark + i);
	__asm__ volatile("movq %0, %%xmm9\n movq %%xmm9, %0" : "+r"(d));
	ok &= d == mark;
	__atomic_add_fetch(&said->checks, 1, __ATOMIC_RELAXED);
	if (!ok)
		__atomic_add_fetch(&said->broken, 1, __ATOMIC_RELAXED);
}

static void worker(u64 seed)
{
	enum { LEN = 256 << 10, CHILDREN = 4 };
	unsigned char *mem = mmap(0, LEN, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), mark = 1 + below(200);
	char buf[512];
	int file = memfd_create("witness", 0), st;
	pid_t child[CHILDREN] = {0};
	u64 born[CHILDREN], end = now_ms() + 3000;
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	memset(buf, mark, sizeof buf);
	if (write(file, buf, sizeof buf) < 0)
		return;
	for (size_t i = 0; i < LEN; i++)
		mem[i] = mark + i;
	fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
	while (now_ms() < end) {
		for (int i = 0; i < CHILDREN; i++) {
			if (child[i] > 0 && now_ms() - born[i] > 300)
				kill(child[i], SIGKILL);
			if (child[i] > 0 && waitpid(child[i], &st, WNOHANG | __WALL) == child[i]) {
				child[i] = 0;
				__atomic_add_fetch(&said->ends, 1, __ATOMIC_RELAXED);
			}
			if (child[i] > 0)
				continue;
			born[i] = now_ms();
			u64 next = rnd();
			child[i] = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
			if (child[i] == 0) {
				seed_rng(next);
				attack();
				_exit(0);
			}
		}
		witness(mem, LEN, mark, file, 1);
		sleep_ms(2);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 1;
	said = mmap(0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int failed = supervise(worker, strtoull(argv[1], 0, 0), atoi(argv[2]), atoi(argv[3]), 3500, CLONE_NEWPID | CLONE_NEWNS);
	printf("broken=%llu checks=%llu ends=%llu slots=%llu\n", (unsigned long long)said->broken, (unsigned long long)said->checks,
	       (unsigned long long)said->ends, (unsigned long long)said->slots);
	return failed || said->broken || !said->checks || !said->ends;
}
