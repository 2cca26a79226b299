"""What makes Sentry and Gofer use their host calls; TestRulesAreNeeded runs it."""
import ctypes, fcntl, mmap, os, socket, stat, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)


def names(d):
    os.mkdir(d + "/dir")
    os.mkfifo(d + "/fifo")
    os.symlink("dir", d + "/link")
    assert os.readlink(d + "/link") == "dir"
    open(d + "/file", "w").close()
    os.link(d + "/file", d + "/hard")
    os.rename(d + "/hard", d + "/renamed")
    os.chmod(d + "/renamed", 0o640)
    os.chown(d + "/renamed", 1000, 1000)
    os.utime(d + "/renamed", (1, 2))
    os.truncate(d + "/renamed", 100)
    os.statvfs(d)
    for i in range(300):
        open("%s/dir/%d" % (d, i), "w").close()
    assert len(os.listdir(d + "/dir")) == 300
    for i in range(300):
        os.unlink("%s/dir/%d" % (d, i))
    fd = os.open(d, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def attributes(d):
    p = d + "/attributes"
    open(p, "w").close()
    os.setxattr(p, "user.a", b"1")
    os.getxattr(p, "user.a")
    os.listxattr(p)
    os.removexattr(p, "user.a")
    fd = os.open(p, os.O_RDWR)
    os.unlink(p)
    os.setxattr(fd, "user.b", b"2")
    os.getxattr(fd, "user.b")
    os.listxattr(fd)
    os.removexattr(fd, "user.b")
    os.fchmod(fd, 0o600)
    os.fchown(fd, 0, 0)
    os.ftruncate(fd, 10)
    os.fstat(fd)
    os.close(fd)


def data(d):
    p = d + "/data"
    fd = os.open(p, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 100000)
    os.pwrite(fd, b"y" * 10, 5)
    os.pread(fd, 100, 50000)
    os.posix_fallocate(fd, 0, 200000)
    libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(65536))
    os.lseek(fd, 0, os.SEEK_DATA)
    os.lseek(fd, 0, os.SEEK_HOLE)
    os.lseek(fd, 0, os.SEEK_SET)
    big = mmap.mmap(-1, 64 << 20)
    for i in range(0, 64 << 20, 4096):
        big[i] = 1
    os.readv(fd, [memoryview(big)[:1 << 20], memoryview(big)[8 << 20:9 << 20]])
    os.writev(fd, [memoryview(big)[:1 << 20], memoryview(big)[8 << 20:9 << 20]])
    os.fsync(fd)
    os.fdatasync(fd)
    m = mmap.mmap(fd, 65536)
    m[100] = 7
    m.flush()
    os.pread(fd, 1, 0)
    # A word of a mapped file, changed by the kernel: FUTEX_WAKE_OP, set 0 to 5.
    word = ctypes.addressof(ctypes.c_uint.from_buffer(m, 4096))
    libc.syscall(202, ctypes.c_void_p(word), 5, 1, ctypes.c_long(1), ctypes.c_void_p(word), (0 << 28) | (5 << 12))
    # What the kernel writes there itself: a read into the mapping.
    other = os.open("/dev/zero", os.O_RDONLY)
    os.readv(other, [memoryview(m)[8192:12288]])
    os.close(other)
    os.ftruncate(fd, 1000)
    a = os.open(p, os.O_WRONLY | os.O_APPEND)
    os.write(a, b"more")
    os.writev(a, [b"and", b"more"])
    os.close(a)
    os.close(fd)


def sockets(d):
    s = socket.socket(socket.AF_UNIX)
    s.bind(d + "/inside")
    s.listen(1)
    s.close()
    s = socket.socket(socket.AF_UNIX)
    s.connect(d + "/host.sock")
    s.sendall(b"to the host")
    s.close()
    s = socket.socket(socket.AF_UNIX)  # one that the host could connect to: nobody does
    s.bind(d + "/bound.sock")
    s.listen(1)
    s.setblocking(False)
    try:
        s.accept()
    except BlockingIOError:
        pass
    os.unlink(d + "/bound.sock")


def together(d):
    """Many requests at once."""
    ds = ["%s/t%d" % (d, i) for i in range(8)]
    pids = []
    for t in ds:
        pid = os.fork()
        if pid == 0:
            os.mkdir(t)
            for i in range(100):
                open("%s/%d" % (t, i), "w").close()
            os._exit(0)
        pids.append(pid)
    [os.waitpid(p, 0) for p in pids]


def clocks():
    ts = (ctypes.c_long * 2)()
    for clock in (0, 1, 2, 3, 4, 5, 6, 7, 11):
        libc.syscall(228, clock, ts)


def processes():
    def work():
        for i in range(200000):
            pass
        time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
    ts = [threading.Thread(target=work) for _ in range(8)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    for _ in range(10):
        if os.fork() == 0:
            os._exit(0)
        os.wait()


def main():
    d = "/data"
    names(d)
    attributes(d)
    data(d)
    sockets(d)
    assert len(os.listdir(d + "/many")) == 3000
    together(d)
    clocks()
    processes()
    sys.stdout.write(sys.stdin.read())


main()
