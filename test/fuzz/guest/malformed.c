// Programs that are not programs, and programs that misuse the processor.
// usage: malformed SEED SECONDS WORKERS
#include "lib.h"
#include <elf.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <ucontext.h>

static unsigned char self[1 << 20];
static size_t self_len;

static u64 wild(void)
{
	static const u64 w[] = {0, 1, 4095, 4096, 0x400000, 0x7fffffffffff, 0x800000000000, 0x8000000000000000, -1ull, -4096ull,
		0x7fffffff, 0xffffffff, 0xffff800000000000, 1ull << 46, 0x7ffffffff000, 0xfffffffffffff000};
	return chance(50) ? PICK(w) : chance(50) ? rnd() : rnd() >> below(64);
}

// write_elf makes a file from our own bytes with some fields changed.
static void write_elf(const char *path)
{
	static unsigned char b[1 << 20];
	memcpy(b, self, self_len);
	Elf64_Ehdr *e = (void *)b;
	size_t len = self_len;
	for (int n = 1 + below(4); n > 0; n--) {
		Elf64_Phdr *p = (void *)(b + 64 + 56 * below(e->e_phnum && e->e_phnum < 12 ? e->e_phnum : 1));
		switch (below(18)) {
		case 0:
			e->e_phnum = chance(50) ? 65535 : below(300);
			break;
		case 1:
			e->e_phoff = wild();
			break;
		case 2:
			e->e_phentsize = rnd();
			break;
		case 3:
			e->e_entry = wild();
			break;
		case 4:
			e->e_type = chance(70) ? below(6) : rnd();
			break;
		case 5:
			e->e_ident[below(16)] = rnd();
			break;
		case 6:
			e->e_machine = rnd();
			break;
		case 7:
			p->p_vaddr = wild();
			break;
		case 8:
			p->p_memsz = wild();
			break;
		case 9:
			p->p_filesz = wild();
			break;
		case 10:
			p->p_offset = wild();
			break;
		case 11:
			p->p_type = chance(80) ? below(8) : PT_GNU_STACK + below(6);
			break;
		case 12:
			p->p_align = wild();
			break;
		case 13:
			p->p_flags = rnd();
			break;
		case 14:
			len = below(self_len);
			break;
		case 15:
			for (int i = 0; i < 20; i++)
				b[below(1024)] = rnd();
			break;
		case 16: // an interpreter: itself, a folder, a device, nonsense without an end
			p->p_type = PT_INTERP;
			p->p_offset = 2000;
			p->p_filesz = chance(70) ? 1 + below(64) : wild();
			strcpy((char *)b + 2000, PICK(((char *[]){"x", "/tmp/x", "/tmp", "/dev/zero", "/proc/self/exe", "", "/bin/sh", "/tmp/s"})));
			break;
		case 17:
			memcpy(p, b + 64, 56); // overlapping segments
			break;
		}
	}
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	write(fd, b, len);
	close(fd);
}

static void write_script(const char *path)
{
	char b[5000];
	int n = 0, fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	switch (below(6)) {
	case 0:
		n = sprintf(b, "#!/tmp/s\n"); // itself
		break;
	case 1:
		n = sprintf(b, "#! \t \n");
		break;
	case 2:
		memset(b, 'a', sizeof b), memcpy(b, "#!/", 3), n = below(sizeof b);
		break;
	case 3:
		n = sprintf(b, "#!%s %s", PICK(((char *[]){"/tmp/x", "/bin/sh", "/dev/null", "/tmp", "/proc/self/exe", "/dev/full"})), "a b\tc");
		break;
	case 4:
		n = 2 + below(300);
		memcpy(b, "#!", 2);
		for (int i = 2; i < n; i++)
			b[i] = rnd();
		break;
	case 5:
		n = sprintf(b, "#!/tmp/t%llu\n", (unsigned long long)below(8));
		break;
	}
	write(fd, b, n);
	close(fd);
}

static void try_exec(void)
{
	char *argv[] = {"worker", 0}, name[32];
	int as_script = chance(30);
	sprintf(name, as_script ? (chance(50) ? "/tmp/s" : "/tmp/t%llu") : "/tmp/x", (unsigned long long)below(8));
	unlink(name);
	as_script ? write_script(name) : write_elf(name);
	pid_t p = fork();
	if (p == 0) {
		alarm(1);
		if (chance(20)) {
			int fd = open(name, O_RDONLY | O_CLOEXEC);
			syscall(SYS_execveat, fd, "", argv, argv, AT_EMPTY_PATH);
		}
		execve(name, argv, argv);
		_exit(0);
	}
	u64 until = now_ms() + 300;
	while (p > 0 && waitpid(p, 0, WNOHANG) == 0) {
		if (now_ms() > until)
			kill(p, SIGKILL);
		sleep_ms(1);
	}
}

static int steps;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	ucontext_t *u = uc;
	(void)sig, (void)si;
	if (++steps > 40)
		_exit(0);
	// Return with a context of our own making.
	switch (below(9)) {
	case 0:
		u->uc_mcontext.gregs[below(23)] = wild();
		break;
	case 1:
		u->uc_mcontext.gregs[REG_EFL] = rnd();
		break;
	case 2:
		u->uc_mcontext.gregs[REG_CSGSFS] = rnd();
		break;
	case 3:
		u->uc_mcontext.fpregs = (void *)wild();
		break;
	case 4:
		if (u->uc_mcontext.fpregs)
			for (int i = 0; i < 30; i++)
				((unsigned char *)u->uc_mcontext.fpregs)[below(2600)] = rnd();
		break;
	case 5:
		if (u->uc_mcontext.fpregs) {
			u->uc_mcontext.fpregs->mxcsr = rnd();
			((u64 *)u->uc_mcontext.fpregs)[64] = rnd(); // XSTATE_BV
		}
		break;
	case 6:
		u->uc_stack.ss_sp = (void *)wild(), u->uc_stack.ss_size = wild(), u->uc_stack.ss_flags = rnd();
		break;
	case 7:
		u->uc_mcontext.gregs[REG_RSP] = wild();
		break;
	case 8:
		((u64 *)&u->uc_sigmask)[0] = rnd();
		u->uc_flags = rnd();
		break;
	}
	u->uc_mcontext.gregs[REG_RIP] += below(4);
}

#define TRY(text) __asm__ volatile(text ::: "memory", "rax", "rcx", "rdx", "rbx")

static void odd_instruction(int i)
{
	switch (i) {
	case 0: TRY("hlt"); break;
	case 1: TRY("cli"); break;
	case 2: TRY("int3"); break;
	case 3: TRY("mov $1, %%eax; int $0x80"); break;
	case 4: TRY("mov $200, %%eax; int $0x80"); break;
	case 5: TRY("ud2"); break;
	case 6: TRY("xor %%ecx, %%ecx; rdpmc"); break;
	case 7: TRY("mov $0x10, %%ecx; rdmsr"); break;
	case 8: TRY("mov $0x10, %%ecx; wrmsr"); break;
	case 9: TRY("xor %%eax, %%eax; cpuid"); break;
	case 10: TRY("mov %%cr0, %%rax"); break;
	case 11: TRY("mov $0x60, %%dx; in %%dx, %%al"); break;
	case 12: TRY("int $0x20"); break;
	case 13: TRY(".byte 0xf1"); break; // icebp
	case 14: TRY("mov $0xffff800000000000, %%rax; call *%%rax"); break;
	case 15: TRY("mov $0x800000000000, %%rax; push %%rax; ret"); break;
	case 16: TRY("mov $0xffffffffff600000, %%rax; xor %%edi, %%edi; xor %%esi, %%esi; call *%%rax"); break;
	case 17: TRY("mov $0xffffffffff600400, %%rax; xor %%edi, %%edi; call *%%rax"); break;
	case 18: TRY("pushfq; orq $0x100, (%%rsp); popfq; nop; nop"); break; // TF
	case 19: TRY("pushfq; orq $0x40000, (%%rsp); popfq; mov %%rsp, %%rax; mov 1(%%rax), %%ecx"); break; // AC
	case 20: TRY("xor %%eax, %%eax; mov %%ax, %%ds; mov %%ax, %%es; mov %%ax, %%fs; mov %%ax, %%gs"); break;
	case 21: TRY("mov $0x33, %%eax; mov %%ax, %%ds"); break;
	case 22: TRY("mov $0x1234, %%eax; mov %%ax, %%gs"); break;
	case 23: TRY("xor %%edx, %%edx; xor %%ecx, %%ecx; mov $1, %%eax; div %%ecx"); break;
	case 24: TRY("mov $0, %%rsp; push %%rax"); break;
	case 25: TRY("mov $3, %%rsp; syscall"); break;
	case 26: TRY("mov $0x8000000000000000, %%rsp; mov $39, %%eax; syscall; push %%rax"); break;
	case 27: TRY("lock; .byte 0x0f, 0x0b"); break;
	case 28: TRY("mov $15, %%eax; syscall"); break; // sigreturn with what is on the stack
	case 29: TRY("mov $15, %%eax; xor %%esp, %%esp; syscall"); break;
	case 30: TRY("mov $15, %%eax; mov $0xffffffffffffff00, %%rsp; syscall"); break;
	case 31: TRY("rdtscp"); break;
	case 32: TRY("mov $0x7fffffff, %%eax; syscall"); break;
	case 33: TRY("mov $0xffffffffffffffff, %%rax; syscall"); break;
	case 34: TRY("mov $39, %%eax; sysenter"); break;
	case 35: TRY("pushq $0x23; pushq $0; lretq"); break; // to 32-bit code
	case 36: TRY("rdfsbase %%rax"); break;
	case 37: TRY("mov $0x8000000000000000, %%rax; wrfsbase %%rax"); break;
	case 38: TRY("xor %%ecx, %%ecx; xgetbv"); break;
	case 39: TRY("xor %%ecx, %%ecx; mov $7, %%eax; xor %%edx, %%edx; xsetbv"); break;
	case 40: TRY("invd"); break;
	case 41: TRY("swapgs"); break;
	case 42: TRY("iretq"); break;
	case 43: TRY("vmcall"); break;
	case 44: TRY("lgdt (%%rsp)"); break;
	case 45: TRY("sidt -16(%%rsp)"); break;
	case 46: TRY("str %%eax"); break;
	case 47: TRY("clflush 0"); break;
	case 48: TRY("std; xor %%edi, %%edi; stosb"); break;
	case 49: TRY("rdrand %%rax; rdseed %%rbx"); break;
	}
}

static void random_code(void)
{
	unsigned char *p = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return;
	for (int round = 0; round < 20; round++) { // modified after it has run
		int at = chance(30) ? 4080 : below(100); // or runs into the next page
		for (int i = at; i < at + 32; i++)
			p[i] = rnd();
		if (chance(40)) {
			static const unsigned char sys[] = {0xb8, 0, 0, 0, 0, 0x0f, 0x05};
			memcpy(p + at, sys, 7);
			p[at + 1] = below(256), p[at + 2] = below(2);
		}
		if (chance(20))
			mprotect(p + 4096, 4096, PROT_NONE);
		((void (*)(u64, u64, u64))(p + at))(rnd(), rnd(), rnd());
	}
}

static void odd_processor(void)
{
	int st, traced = chance(30);
	u64 until = now_ms() + 200;
	pid_t p = fork();
	if (p == 0) {
		static char alt[65536];
		stack_t ss = {.ss_sp = alt + below(64), .ss_size = 32768 + below(1000)};
		if (chance(70))
			sigaltstack(&ss, 0);
		struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | (chance(50) ? SA_NODEFER : 0)};
		for (int s = 1; s < 32; s++)
			if (chance(80))
				sigaction(s, &sa, 0);
		alarm(1);
		if (chance(10))
			prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
		if (traced) {
			ptrace(PTRACE_TRACEME, 0, 0, 0);
			raise(SIGTRAP);
		}
		if (chance(50))
			random_code();
		for (;;)
			odd_instruction(below(50));
	}
	for (;;) {
		pid_t got = waitpid(p, &st, WNOHANG | WUNTRACED | __WALL);
		if (got < 0 || (got == p && !WIFSTOPPED(st)))
			break;
		if (now_ms() > until)
			kill(p, SIGKILL);
		if (got != p) {
			sleep_ms(1);
			continue;
		}
		struct user_regs_struct r;
		static struct user_fpregs_struct fp;
		if (chance(30) && ptrace(PTRACE_GETREGS, p, 0, &r) == 0) {
			((u64 *)&r)[below(27)] = wild();
			ptrace(PTRACE_SETREGS, p, 0, &r);
		}
		if (chance(20) && ptrace(PTRACE_GETFPREGS, p, 0, &fp) == 0) {
			((unsigned char *)&fp)[below(sizeof fp)] = rnd();
			ptrace(PTRACE_SETFPREGS, p, 0, &fp);
		}
		if (chance(20))
			ptrace(PTRACE_POKEUSER, p, below(2000), wild());
		ptrace(PICK(((int[]){PTRACE_CONT, PTRACE_SINGLESTEP, PTRACE_SYSCALL, 31, 32})), p, 0, chance(70) ? 0 : below(32));
	}
}

static void worker(u64 seed)
{
	(void)seed;
	int fd = open("/proc/self/exe", O_RDONLY);
	self_len = read(fd, self, sizeof self);
	close(fd);
	mount("none", "/", 0, MS_REC | MS_PRIVATE, 0);
	mount("t", "/tmp", "tmpfs", 0, 0);
	for (;;) {
		if (chance(40))
			try_exec();
		else
			odd_processor();
		while (waitpid(-1, 0, WNOHANG) > 0)
			;
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 0; // our own bytes as a program that still works
	return supervise(worker, strtoull(argv[1], 0, 0), atoi(argv[2]), atoi(argv[3]), 5000, CLONE_NEWPID | CLONE_NEWNS);
}
