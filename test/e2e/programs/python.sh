cd /tmp; cat >t.py <<'P'
import os, sys, subprocess, threading, asyncio, mmap, tempfile, signal, time, socket, select, json, hashlib, struct, fcntl, shutil, queue, random, errno, stat, ctypes, selectors, resource
print(sys.version_info[:2], sys.platform, os.getcwd())
print(subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", capture_output=True))
print(subprocess.check_output("echo $0 $X", shell=True, env={"X": "y"}, text=True))
try: subprocess.run(["sleep", "99"], timeout=0.3)
except subprocess.TimeoutExpired as e: print("timeout", round(e.timeout, 1))
try: subprocess.run(["/nothere"])
except FileNotFoundError as e: print(e)
p = subprocess.Popen(["cat"], stdin=-1, stdout=-1); print(p.communicate(b"x" * 200000)[0].__len__(), p.returncode)
p = subprocess.Popen(["sleep", "99"], start_new_session=True); os.killpg(p.pid, signal.SIGTERM); print(p.wait())
# threads
n = 0; lock = threading.Lock()
def work():
    global n
    for _ in range(1000):
        with lock: n += 1
ts = [threading.Thread(target=work) for _ in range(16)]; [t.start() for t in ts]; [t.join() for t in ts]; print(n)
q = queue.Queue(5); th = threading.Thread(target=lambda: [q.put(i) for i in range(100)]); th.start(); print(sum(q.get() for _ in range(100))); th.join()
ev = threading.Event(); threading.Timer(0.1, ev.set).start(); print(ev.wait(60), ev.wait(0))
b = threading.Barrier(4); r = []; ts = [threading.Thread(target=lambda: r.append(b.wait() >= 0)) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]; print(r)
# asyncio
async def main():
    p = await asyncio.create_subprocess_exec("tr", "a-z", "A-Z", stdin=-1, stdout=-1)
    out, _ = await p.communicate(b"async"); print(out, p.returncode)
    print(await asyncio.gather(*[asyncio.sleep(0.01 * i, i) for i in range(5)]))
    try: await asyncio.wait_for(asyncio.sleep(99), 0.1)
    except asyncio.TimeoutError: print("async timeout")
    async def echo(r, w):
        w.write((await r.readline()).upper()); await w.drain(); w.close()
    s = await asyncio.start_unix_server(echo, "/tmp/sock")
    r, w = await asyncio.open_unix_connection("/tmp/sock"); w.write(b"hello\n"); print(await r.read()); w.close(); s.close()
    print(await asyncio.get_running_loop().run_in_executor(None, lambda: 42))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, lambda: print("sig in loop")); os.kill(os.getpid(), signal.SIGUSR1); await asyncio.sleep(0.1)
asyncio.run(main())
# mmap, files
with open("m", "w+b") as f:
    f.truncate(8192); m = mmap.mmap(f.fileno(), 8192); m[0:5] = b"hello"; m[8187:] = b"world"; m.flush(); f.seek(0); print(f.read(5), m.find(b"world")); m.resize(16384); print(len(m), os.stat("m").st_size); m.close()
m = mmap.mmap(-1, 4096); pid = os.fork()
if pid == 0: m[0:3] = b"kid"; os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), m[0:3])
print(hashlib.sha256(open("/etc/services", "rb").read()).hexdigest())
with tempfile.TemporaryDirectory() as d:
    f = tempfile.NamedTemporaryFile(dir=d); f.write(b"abc"); f.flush(); print(open(f.name, "rb").read()); f.close()
    t = tempfile.TemporaryFile(dir=d); t.write(b"x"); print(os.fstat(t.fileno()).st_nlink)
    os.symlink("x", d + "/l"); print(os.readlink(d + "/l"), os.path.lexists(d + "/l"), os.path.exists(d + "/l"))
print(os.path.exists(d))
print(shutil.copytree("/etc/alternatives", "/tmp/alt", symlinks=True), len(os.listdir("/tmp/alt")) == len(os.listdir("/etc/alternatives")))
print(sorted(e.name for e in os.scandir("/") if e.is_symlink()))
for e, f in [("ENOENT", lambda: open("/no")), ("EISDIR", lambda: open("/tmp", "w")), ("ENOTDIR", lambda: os.listdir("/etc/passwd")), ("EEXIST", lambda: os.mkdir("/tmp")), ("ENOTEMPTY", lambda: os.rmdir("/etc")), ("EBADF", lambda: os.close(999)), ("ECHILD", lambda: os.wait()), ("ESRCH", lambda: os.kill(99999, 0))]:
    try: f(); print(e, "no error")
    except OSError as x: print(e, errno.errorcode[x.errno], x)
fd = os.open("lk", os.O_RDWR | os.O_CREAT); fcntl.lockf(fd, fcntl.LOCK_EX)
pid = os.fork()
if pid == 0:
    try: fcntl.lockf(os.open("lk", os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB); os._exit(1)
    except BlockingIOError: os._exit(2)
print(os.waitpid(pid, 0)[1] >> 8)
# sockets, select, signals
a, c = socket.socketpair(); a.sendall(b"ping"); print(select.select([c], [], [], 60)[0] == [c], c.recv(9)); socket.send_fds(a, [b"fd"], [os.open("/etc/hostname", 0)]); d, fds, *_ = socket.recv_fds(c, 9, 1); print(d, len(os.read(fds[0], 99)) > 0)
ep = select.epoll(); rd, wr = os.pipe(); ep.register(rd, select.EPOLLIN); print(ep.poll(0)); os.write(wr, b"1"); print(ep.poll(60) == [(rd, 1)])
signal.signal(signal.SIGALRM, lambda s, f: (print("alarm"), rung.append(1))); rung = []; signal.setitimer(signal.ITIMER_REAL, 0.1); [time.sleep(0.05) for _ in iter(lambda: len(rung), 1)]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2]); os.kill(os.getpid(), signal.SIGUSR2); print(signal.sigwait([signal.SIGUSR2]))
t = time.monotonic(); time.sleep(0.1); print(0.09 < time.monotonic() - t < 60); print(abs(time.time() - time.clock_gettime(0)) < 20)
print(os.sched_getaffinity(0) != set(), os.cpu_count() >= 1, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 1000, os.times().user > 0)
pid, fd = os.forkpty()
if pid == 0: os.execlp("sh", "sh", "-c", "stty size; tty; echo pty")
import time as _t
out = b""
try:
    while (x := os.read(fd, 999)): out += x
except OSError: pass
print(out.replace(b"\r\n", b"|")); print(os.waitpid(pid, 0)[1])
print(os.listxattr("/tmp/m")); os.setxattr("/tmp/m", "user.a", b"v") if 0 else None
libc = ctypes.CDLL(None); print(libc.getpid() == os.getpid(), ctypes.string_at(libc.strerror and ctypes.cast(ctypes.c_char_p(b"ct"), ctypes.c_void_p)))
r, w = os.pipe(); os.set_inheritable(w, True); print(os.get_inheritable(w), os.get_blocking(r), os.fstat(r).st_mode & stat.S_IFIFO != 0)
print(os.memfd_create("x") > 2, os.eventfd(3) > 2, os.getrandom(5).__len__(), os.get_terminal_size.__name__)
os.posix_spawn("/bin/echo", ["echo", "spawned"], {}); os.wait()
print(os.sendfile(os.open("o", os.O_CREAT | os.O_WRONLY), os.open("/etc/services", 0), 0, 100), os.copy_file_range(os.open("t.py", 0), os.open("o2", os.O_CREAT | os.O_WRONLY), 50), os.stat("o2").st_size)
P
python3 -u t.py; echo "exit $?"
