# normalize: addresses digits
cd /tmp; cat >d.c <<'C'
#include <stdio.h>
int fact(int n) { return n < 2 ? 1 : n * fact(n - 1); }
int main(void) { int x = fact(5); printf("%d\n", x); fflush(stdout); return x & 7; }
C
gcc -g -O0 -o d d.c
# The debug registers of a virtual machine may accept everything and never stop anybody:
# there gdb has to step by itself, with the same outcome.
cat >probe.c <<'C'
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
static volatile long x;
int main(void) {
    int st;
    pid_t p = fork();
    if (!p) { ptrace(PTRACE_TRACEME, 0, 0, 0); raise(SIGSTOP); x = 1; _exit(0); }
    waitpid(p, &st, 0);
    char *r = (char *)offsetof(struct user, u_debugreg);
    if (ptrace(PTRACE_POKEUSER, p, r, &x) || ptrace(PTRACE_POKEUSER, p, r + 56, 0xd0001)) return 2;
    ptrace(PTRACE_CONT, p, 0, 0);
    waitpid(p, &st, 0);
    return !WIFSTOPPED(st);
}
C
gcc -o probe probe.c
hw=1
./probe || [ $? != 1 ] || hw=0
export DEBUGINFOD_URLS=
gdb -q -nx -batch -ex "set can-use-hw-watchpoints $hw" -ex 'break main' -ex run -ex 'watch x' -ex continue -ex continue -ex 'print x' -ex 'set var x=3' -ex 'stepi' -ex 'p $rip != 0' -ex 'kill' ./d 2>&1 | sed 's/^Hardware w/W/' | grep -v -e libthread -e 'Using host' -e unwind_buf -e '^0x' -e ' at ' -e '^[0-9]'
