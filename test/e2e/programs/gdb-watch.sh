# timeout: 60s
# normalize: addresses digits
cd /tmp; cat >d.c <<'C'
#include <stdio.h>
int fact(int n) { return n < 2 ? 1 : n * fact(n - 1); }
int main(void) { int x = fact(5); printf("%d\n", x); fflush(stdout); return x & 7; }
C
gcc -g -O0 -o d d.c
export DEBUGINFOD_URLS=
gdb -q -nx -batch -ex 'break main' -ex run -ex 'watch x' -ex continue -ex continue -ex 'print x' -ex 'set var x=3' -ex 'stepi' -ex 'p $rip != 0' -ex 'kill' ./d 2>&1 | grep -v -e libthread -e 'Using host' -e unwind_buf -e '^0x'
