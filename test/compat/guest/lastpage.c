// The last page of the user half, which Linux never maps.
#include "check.h"
#include <setjmp.h>

static sigjmp_buf env;
static void on(int s, siginfo_t *si, void *u) {
    printf("SIG%s code %d address %d\n", sigabbrev_np(s), si->si_code, (long)si->si_addr == 0x7fffffffefffL);
    siglongjmp(env, 1);
}

int main(void) {
    struct sigaction sa = {.sa_sigaction = on, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    if (!sigsetjmp(env, 1)) {
        (void)*(volatile char *)0x7fffffffefffUL;
        puts("no fault");
    }
    R(mmap((void *)0x7fffffffe000UL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    return 0;
}
