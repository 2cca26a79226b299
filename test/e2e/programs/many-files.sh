cd /tmp; python3 -c '
import os,resource
s,h=resource.getrlimit(resource.RLIMIT_NOFILE); print(h>=10100); resource.setrlimit(resource.RLIMIT_NOFILE,(10100,h))
os.mkdir("d"); fds=[os.open("d/%d"%i,os.O_CREAT|os.O_RDWR) for i in range(10000)]; [os.write(f,b"%d"%i) for i,f in enumerate(fds)]
print(len(fds), os.pread(fds[9999],9,0), len(os.listdir("d")), len(os.listdir("/proc/self/fd"))>10000)
try:
    while True: fds.append(os.open("/etc/passwd",0))
except OSError as e: print(e)
print(fds[-1]); [os.close(f) for f in fds]; print(sum(1 for e in os.scandir("d") if e.stat().st_size>0))
r=[os.open("/usr/lib/os-release",0) for _ in range(5000)]; print(os.read(r[-1],5)); pipes=[os.pipe() for _ in range(2000)]; [os.write(w,b"x") for _,w in pipes]; print(sum(len(os.read(a,2)) for a,_ in pipes))
'; ls d | wc -l; rm -rf d; ls
