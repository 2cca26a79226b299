# Runs "$@" in a root whose changes stay in memory, with its own /proc, /dev and /tmp,
# as runsc do does. Called within unshare -mpiunf.
set -e
r=/mnt/r
mount -t tmpfs none /mnt
mkdir /mnt/up /mnt/work $r
mount -t overlay -o lowerdir=/,upperdir=/mnt/up,workdir=/mnt/work overlay $r
mount -t sysfs -o ro sysfs $r/sys
mount -t tmpfs -o mode=755,nosuid tmpfs $r/dev
mkdir $r/dev/pts $r/dev/shm
for n in null zero full random urandom tty; do
	: >$r/dev/$n
	mount --bind /dev/$n $r/dev/$n
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts $r/dev/pts
ln -s pts/ptmx $r/dev/ptmx
ln -s /proc/self/fd $r/dev/fd
ln -s fd/0 $r/dev/stdin
ln -s fd/1 $r/dev/stdout
ln -s fd/2 $r/dev/stderr
mount -t tmpfs -o mode=1777,nosuid,nodev shm $r/dev/shm
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs $r/tmp
hostname lazaret
ip link set lo up
# Once more, so that what runs is process 1 and the next one 2.
exec unshare -pf --kill-child --mount-proc=$r/proc chroot $r env --chdir=/tmp "$@"
