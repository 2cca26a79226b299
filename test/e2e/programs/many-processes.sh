# alone
cd /tmp; cat >p.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
int main(void) { int p[2], q[2]; if (pipe(p) || pipe(q)) return 1; int n = 2000, ok = 0; for (int i = 0; i < n; i++) { pid_t c = fork(); if (c < 0) { perror("fork"); break; } if (!c) { char b; close(p[1]); close(q[0]); if (write(q[1], "r", 1) != 1 || read(p[0], &b, 1) != 0) _exit(9); _exit(i & 63); } }
 close(q[1]); char b; int r = 0; while (r < n && read(q[0], &b, 1) == 1) r++; printf("alive %d\n", r); fflush(stdout); close(p[1]); int st, sum = 0; while (wait(&st) > 0) { ok++; sum += WEXITSTATUS(st); } printf("%d %d\n", ok, sum); return 0; }
C
gcc -O1 -o p p.c && ./p; echo $?
for i in $(seq 100); do /bin/true; done; echo 100; seq 200 | xargs -P8 -I{} sh -c 'exit 0'; echo $?
