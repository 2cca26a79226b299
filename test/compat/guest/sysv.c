// System V shared memory, semaphores, message queues; POSIX message queues.
#include "check.h"
#include <mqueue.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; struct seminfo *info; };
struct msg { long type; char text[64]; };
static void nop(int s) {}

static void shm(void) {
    H("shm");
    struct shmid_ds ds;
    R(shmget(0x1234, 4096, 0600));
    int id = M(shmget(0x1234, 5000, IPC_CREAT | IPC_EXCL | 0640));
    R(shmget(0x1234, 5000, IPC_CREAT | IPC_EXCL | 0600));
    B(shmget(0x1234, 100, 0600) == id);
    R(shmget(0x1234, 9000, 0600));
    R(shmget(IPC_PRIVATE, 0, 0600));
    R(shmctl(id, IPC_STAT, &ds));
    printf("size %ld mode %o uid %d nattch %ld key %x cpid %s lpid %d\n", (long)ds.shm_segsz, ds.shm_perm.mode, ds.shm_perm.uid, (long)ds.shm_nattch,
        ds.shm_perm.__key, ds.shm_cpid == getpid() ? "self" : "other", ds.shm_lpid);
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
    B(a != (void *)-1 && b != (void *)-1 && a != b);
    strcpy(a, "shared");
    str("b", b, 6);
    R(CHILD(strcpy(a, "CHILD!"); R(shmdt(a)); R(shmctl(id, IPC_STAT, &ds)); R(ds.shm_nattch)));
    str("b", b, 6);
    R(shmctl(id, IPC_STAT, &ds));
    R(ds.shm_nattch);
    R(shmat(id, a + 1, 0) == (void *)-1 ? -1 : 0);
    R(shmat(id, a + 1, SHM_RND) == (void *)-1 ? -1 : 0);
    R(shmat(id, a, SHM_REMAP) == a);
    R(shmat(id, NULL, SHM_REMAP) == (void *)-1 ? -1 : 0);
    R(shmat(9999, NULL, 0) == (void *)-1 ? -1 : 0);
    ST("write to a read-only one", CHILD(*b = 1));
    R(shmdt(a));
    R(shmdt(a));
    R(shmctl(id, IPC_RMID, NULL));
    R(shmctl(id, IPC_STAT, &ds)); // marked, and still there
    printf("mode %o key %x\n", ds.shm_perm.mode, ds.shm_perm.__key);
    R(shmget(0x1234, 100, 0600));
    str("b", b, 6);
    R(shmdt(b));
    R(shmctl(id, IPC_STAT, &ds));
    R(shmctl(id, 999, NULL));
    id = M(shmget(IPC_PRIVATE, 4096, 0600));
    ds.shm_perm.mode = 0666, ds.shm_perm.uid = 5, ds.shm_perm.gid = 6;
    R(shmctl(id, IPC_SET, &ds));
    R(CHILD(M(setgid(7)); M(setuid(7)); R(shmat(id, NULL, 0) != (void *)-1); R(shmctl(id, IPC_RMID, NULL)); R(shmctl(id, IPC_SET, &ds))));
    R(CHILD(M(setgid(7)); M(setuid(5)); R(shmctl(id, IPC_RMID, NULL))));
}

static void sem(void) {
    H("sem");
    int id = M(semget(0x55, 3, IPC_CREAT | 0600));
    R(semget(0x55, 4, 0600));
    R(semget(0x55, 0, 0600) == id);
    R(semget(0x56, 0, IPC_CREAT | 0600));
    R(semget(0x56, 1 << 20, IPC_CREAT | 0600));
    unsigned short v[3] = {1, 2, 3}, o[3];
    R(semctl(id, 0, SETALL, (union semun){.array = v}));
    R(semctl(id, 0, GETALL, (union semun){.array = o}));
    printf("%d %d %d\n", o[0], o[1], o[2]);
    R(semctl(id, 1, GETVAL));
    R(semctl(id, 3, GETVAL));
    R(semctl(id, 0, SETVAL, (union semun){.val = 40000}));
    R(semctl(id, 0, SETVAL, (union semun){.val = -1}));
    R(semop(id, (struct sembuf[]){{0, -1, 0}, {1, 5, 0}}, 2));
    R(semctl(id, 0, GETVAL));
    R(semctl(id, 1, GETVAL));
    R(semctl(id, 1, GETPID) == getpid());
    R(semop(id, (struct sembuf[]){{1, 1, 0}, {0, -1, IPC_NOWAIT}}, 2)); // all or nothing
    R(semctl(id, 1, GETVAL));
    R(semop(id, (struct sembuf[]){{9, 1, 0}}, 1));
    R(semop(id, NULL, 0));
    R(semop(id, (void *)8, 1));
    R(semop(id, (struct sembuf[]){{0, 32767, 0}, {0, 1, 0}}, 2));
    R(semtimedop(id, (struct sembuf[]){{0, -1, 0}}, 1, &(struct timespec){0, 20000000}));
    R(semop(id, (struct sembuf[]){{0, 0, IPC_NOWAIT}}, 1));
    R(semop(id, (struct sembuf[]){{1, 0, IPC_NOWAIT}}, 1));
    pid_t p = fork();
    if (!p) { R(semop(id, (struct sembuf[]){{0, -2, 0}}, 1)); _exit(0); }
    asleep(p);
    R(semctl(id, 0, GETNCNT));
    R(semctl(id, 0, GETZCNT));
    M(semop(id, (struct sembuf[]){{0, 1, 0}}, 1));
    R(semctl(id, 0, GETNCNT)); // waits on
    ms(5);
    R(waitpid(p, NULL, WNOHANG));
    M(semop(id, (struct sembuf[]){{0, 1, 0}}, 1));
    waitpid(p, NULL, 0);
    R(CHILD(M(semop(id, (struct sembuf[]){{2, -3, SEM_UNDO}, {1, -7, SEM_UNDO}}, 2)); R(semctl(id, 2, GETVAL))));
    R(semctl(id, 2, GETVAL)); // undone
    R(semctl(id, 1, GETVAL));
    p = fork();
    if (!p) { R(semop(id, (struct sembuf[]){{0, -9, 0}}, 1)); _exit(0); }
    asleep(p);
    M(semctl(id, 0, IPC_RMID)); // the child prints
    waitpid(p, NULL, 0);
    R(semop(id, (struct sembuf[]){{0, 1, 0}}, 1));
}

static void msgs(void) {
    H("msg");
    struct msg m = {1, "hello"};
    struct msqid_ds ds;
    int id = M(msgget(0x77, IPC_CREAT | 0600));
    R(msgget(0x77, IPC_CREAT | IPC_EXCL));
    R(msgsnd(id, &m, 5, 0));
    m.type = 3;
    R(msgsnd(id, &m, 3, 0));
    m.type = 2;
    R(msgsnd(id, &m, 0, 0));
    m.type = 0;
    R(msgsnd(id, &m, 1, 0));
    m.type = 1;
    R(msgsnd(id, &m, 100000, 0));
    R(msgsnd(id, (void *)8, 1, 0));
    R(msgctl(id, IPC_STAT, &ds));
    printf("qnum %ld cbytes %ld qbytes %ld\n", (long)ds.msg_qnum, (long)ds.__msg_cbytes, (long)ds.msg_qbytes);
    R(msgrcv(id, &m, 2, 1, 0));
    R(msgrcv(id, &m, 2, 1, MSG_NOERROR));
    R(msgrcv(id, &m, 64, 1, IPC_NOWAIT));
    R(msgrcv(id, &m, 64, -2, 0)); // the lowest type up to 2
    R(m.type);
    R(msgrcv(id, &m, 64, 0, 0));
    R(m.type);
    R(msgrcv(id, &m, 64, 0, IPC_NOWAIT));
    m.type = 4;
    msgsnd(id, &m, 1, 0);
    m.type = 5;
    msgsnd(id, &m, 1, 0);
    R(msgrcv(id, &m, 64, 4, MSG_EXCEPT));
    R(m.type);
    R(msgrcv(id, &m, 64, 0, MSG_COPY | IPC_NOWAIT) == 1 || errno == ENOSYS);
    msgrcv(id, &m, 64, 0, IPC_NOWAIT);
    int n = 0;
    m.type = 1;
    while (msgsnd(id, &m, 64, IPC_NOWAIT) == 0) n++;
    printf("%d: %s\n", n, ename(errno));
    struct sigaction sa = {.sa_handler = nop, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    R(POKED(SIGALRM, msgsnd(id, &m, 64, 0))); // never restarted
    pid_t p = fork();
    if (!p) { R(msgrcv(id, &m, 64, 99, 0)); _exit(0); }
    asleep(p);
    M(msgctl(id, IPC_RMID, NULL));
    waitpid(p, NULL, 0);
    R(msgsnd(id, &m, 1, 0));
    R(msgctl(id, 999, NULL));
}

static void mqs(void) {
    H("mq");
    char b[128];
    struct mq_attr a = {.mq_maxmsg = 3, .mq_msgsize = 16};
    R(mq_open("/none", O_RDWR));
    R(mq_open("noslash", O_RDWR | O_CREAT, 0600, &a) >= 0);
    R(syscall(SYS_mq_open, "/has", O_RDWR | O_CREAT, 0600, &a));
    R(syscall(SYS_mq_open, "has/two", O_RDWR | O_CREAT, 0600, &a));
    mqd_t q = M(mq_open("/q", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &a));
    R(mq_open("/q", O_RDWR | O_CREAT | O_EXCL, 0600, &a));
    R(fcntl(q, F_GETFD));
    R(mq_send(q, "low", 3, 1));
    R(mq_send(q, "high", 4, 9));
    R(mq_send(q, "low2", 4, 1));
    R(mq_send(q, "x", 1, 1));
    R(mq_send(q, b, 17, 1));
    R(mq_send(q, "x", 1, 32768));
    R(mq_getattr(q, &a));
    printf("flags %lx maxmsg %ld msgsize %ld curmsgs %ld\n", a.mq_flags, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
    unsigned pr;
    R(mq_receive(q, b, 15, &pr));
    for (int i = 0; i < 3; i++) { long n = R(mq_receive(q, b, 128, &pr)); str("msg", b, n); R(pr); }
    R(mq_receive(q, b, 128, &pr));
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    R(poll(&p, 1, 0));
    X(p.revents);
    mqd_t r = M(mq_open("/q", O_RDONLY));
    R(mq_send(r, "x", 1, 1));
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    R(mq_timedreceive(r, b, 128, &pr, &ts));
    ts.tv_nsec = -1;
    R(mq_timedreceive(r, b, 128, &pr, &ts));
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    R(mq_notify(q, &ev));
    R(mq_notify(q, &ev));
    R(CHILD(M(mq_send(q, "n", 1, 0))));
    siginfo_t si;
    R(sigtimedwait(&s, &si, &(struct timespec){20, 0}) == SIGRTMIN);
    R(si.si_code);
    R(mq_unlink("/q"));
    R(mq_unlink("/q"));
    R(mq_receive(q, b, 128, &pr)); // still open
    a = (struct mq_attr){.mq_maxmsg = 100000, .mq_msgsize = 16};
    R(CHILD(M(setuid(1000)); R(mq_open("/big", O_RDWR | O_CREAT, 0600, &a))));
    a = (struct mq_attr){.mq_maxmsg = 0, .mq_msgsize = 16};
    R(mq_open("/zero", O_RDWR | O_CREAT, 0600, &a));
    R(mq_close(99));
}

int main(void) {
    shm();
    sem();
    msgs();
    mqs();
    return 0;
}
