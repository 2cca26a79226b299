# normalize: addresses digits
cd /tmp; cat >d.c <<'C'
#include <stdio.h>
#include <unistd.h>
int fact(int n) { return n < 2 ? 1 : n * fact(n - 1); }
int main(void) { int x = fact(5); printf("%d\n", x); fflush(stdout); return x & 7; }
C
gcc -g -O0 -o d d.c
export DEBUGINFOD_URLS=
strace -f -e trace=write,exit_group ./d 2>&1; echo $?
strace -o tr -e trace=openat,execve sh -c 'true' ; grep -c 'execve("' tr; strace -c -o cnt true; grep -c total cnt; strace -f -qq -e signal=none -e trace=clone,clone3,fork,vfork sh -c '/bin/true; :' 2>&1 | sed 's/(.*//; s/^.pid.*] //'
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do strace -f -qq -o tr true || break; done; echo $i
sleep 300 & p=$!; strace -p $p -o at & until grep -q '^TracerPid:.*[1-9]' /proc/$p/status; do sleep 0.1; done; kill $p; wait $! 2>/dev/null; grep -o SIGTERM at | head -1; wait
gdb -q -nx -batch -ex 'break fact if n == 2' -ex run -ex bt -ex 'print n' -ex 'finish' -ex 'delete' -ex 'next' -ex 'info locals' -ex continue ./d 2>&1 | grep -v -e libthread -e 'Using host' -e unwind_buf
printf 'int main(void){ volatile int *p = 0; return *p; }' >s.c; gcc -g -o s s.c; gdb -q -nx -batch -ex run -ex bt -ex 'info signals SIGSEGV' ./s 2>&1 | grep -v -e libthread -e 'Using host' -e unwind_buf
