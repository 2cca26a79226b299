# alone
cd /tmp; dd if=/dev/zero of=z bs=1M count=2048 2>/dev/null; stat -c '%s %b' z; printf end | dd of=z bs=1 seek=2147483645 conv=notrunc 2>/dev/null; tail -c 5 z | od -c; cmp -n 100000000 z /dev/zero && echo zeros
truncate -s 5G s; printf x | dd of=s bs=1 seek=4G conv=notrunc 2>/dev/null; stat -c '%s' s; dd if=s bs=1 skip=4G count=2 2>/dev/null | od -c; python3 -c '
import mmap,os
f=open("/tmp/s","r+b"); m=mmap.mmap(f.fileno(),0); print(len(m), m[4<<30], m[(4<<30)+1]); m[3<<30]=7; print(os.pread(f.fileno(),1,3<<30)); print(os.lseek(f.fileno(),0,os.SEEK_HOLE)>=0, os.lseek(f.fileno(),0,os.SEEK_DATA)<=3<<30)'
fallocate -l 100M f; stat -c '%s %b' f; fallocate -p -o 0 -l 50M f; stat -c '%s %b' f; rm z s f; ls
