cd /tmp; cat >t.py <<'P'
import multiprocessing as mp, concurrent.futures as cf, os, time
from multiprocessing import shared_memory
def sq(x): return x * x
def w(q, l, v, ev):
    ev.wait(); 
    for _ in range(100):
        with l: v.value += 1
    q.put(os.getpid() != os.getppid())
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        ctx = mp.get_context(method)
        with ctx.Pool(3) as p: print(method, p.map(sq, range(10)), p.apply_async(sq, (9,)).get(200))
    q, l, v, ev = mp.Queue(), mp.Lock(), mp.Value("i", 0), mp.Event()
    ps = [mp.Process(target=w, args=(q, l, v, ev)) for _ in range(4)]; [p.start() for p in ps]; ev.set(); print([q.get() for _ in ps]); [p.join() for p in ps]; print(v.value, [p.exitcode for p in ps])
    a, b = mp.Pipe(); p = mp.Process(target=lambda c: c.send(c.recv()[::-1]), args=(b,)); p.start(); a.send("pipe"); print(a.recv()); p.join()
    s = shared_memory.SharedMemory(create=True, size=100); s.buf[:3] = b"shm"; t = shared_memory.SharedMemory(name=s.name); print(bytes(t.buf[:3])); t.close(); s.close(); s.unlink()
    with cf.ProcessPoolExecutor(2) as e: print(list(e.map(sq, range(5))))
    with cf.ThreadPoolExecutor(8) as e: print(sum(e.map(sq, range(100))))
    m = mp.Manager(); d = m.dict(); p = mp.Process(target=lambda d: d.update(x=1), args=(d,)); p.start(); p.join(); print(dict(d)); m.shutdown()
    p = mp.Process(target=time.sleep, args=(500,)); p.start(); p.terminate(); p.join(); print(p.exitcode)
P
python3 t.py; echo "exit $?"; ls /dev/shm
