# normalize: addresses digits
cd /tmp; cat >d.c <<'C'
#include <stdio.h>
int fact(int n) { return n < 2 ? 1 : n * fact(n - 1); }
int main(void) { int x = fact(5); printf("%d\n", x); fflush(stdout); return x & 7; }
C
gcc -g -O0 -o d d.c
export DEBUGINFOD_URLS=
gdb -q -nx -batch -ex 'break main' -ex run -ex 'next' -ex 'print x' -ex 'set var x=3' -ex 'stepi' -ex 'p $rip != 0' -ex 'stepi 20' -ex 'info registers eflags cs' -ex 'continue' ./d 2>&1 | grep -v -e libthread -e 'Using host' -e '^0x'
gdb -q -nx -batch -ex 'set can-use-hw-watchpoints 0' -ex 'break main' -ex run -ex 'watch x' -ex continue -ex 'print x' -ex 'delete' -ex 'stepi 3000' -ex continue ./d 2>&1 | grep -v -e libthread -e 'Using host' -e '^0x' -e '^[0-9]' -e ' at '
