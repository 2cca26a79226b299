# What coreutils does to files and text.
cd /tmp && mkdir c && cd c
cp -a /etc/passwd p; ls -l --time-style=+%s p | awk '{print $1,$2,$3,$4,$5}'
ln p hard; ln -s p soft; stat -c '%h %F %s' p hard soft; readlink soft; readlink -f soft
mkdir -p a/b/c; touch a/b/c/{1..20}; ls -R a; du -a --apparent-size a | wc -l; rm -r a/b; ls a
mv p q; ls -1; cmp q hard && echo same
chmod 4711 q; stat -c '%A %a' q; chmod u-s,g+w q; stat -c %A q; chown 1:2 q; stat -c '%u:%g %U' q
dd if=/dev/zero of=z bs=4k count=25 2>/dev/null; stat -c '%s %b' z; truncate -s 1M z; stat -c %s z
dd if=/dev/urandom bs=1k count=64 2>/dev/null | tee r | sha256sum >s1; sha256sum <r | cmp - s1 && echo sum
split -b 10k r part.; ls part.* | wc -l; cat part.* | cmp - r && echo rejoined
sort -R /etc/services | sort -u | md5sum; sort -u /etc/services | md5sum
sort -t: -k3 -n /etc/passwd | cut -d: -f1,3 | head -5; tac /etc/passwd | tail -1; nl /etc/hostname | wc -l
head -c 10 /etc/services | od -c; tail -n 3 /etc/services | fold -w 20; paste <(seq 3) <(seq 4 6); join <(seq 5) <(seq 3 7)
comm <(seq 4) <(seq 3 6); uniq -c <(printf 'a\na\nb\n'); tr a-z A-Z <<<shout; expr 6 \* 7; factor 1234567890
base64 <<<data | base64 -d; cksum /etc/services; b2sum /etc/services; numfmt --to=iec 123456789
date -u -d @1700000000; date -d '2024-02-29 +1 year' +%F; TZ=Europe/Berlin date -d @1700000000
install -m 640 -D q x/y/z; stat -c %a x/y/z; mktemp -u XXXX | wc -c; seq -s, 3 3 30; basename /a/b.c .c; dirname /a/b
test -r q && test ! -e nothere && [ q -ef hard ] && echo tests; touch -d @1000000000 q; stat -c '%Y %y' q
mkfifo f; (echo through fifo >f) & cat f; wait; stat -c %F f /dev/null; mknod nod c 1 3 && echo x >nod && stat -c '%t %T' nod
ls nothere; cat nothere; rmdir x; rm x; cp x y2; mkdir x; ln soft soft; cd nothere 2>/dev/null || echo nocd
id; whoami; uname -sm; nproc >/dev/null && echo n; tty; logname 2>/dev/null; env -i A=1 env; printenv HOME; pwd -P
df --output=target /tmp; sync; chroot / /bin/echo chrooted; nice -n 5 nice; stdbuf -oL echo buf; shuf -i 1-10 | sort -n | tr '\n' ' '
cp -r --sparse=always z z2; cmp z z2 && echo sparse; cp --reflink=auto z z3 && echo cp; timeout 1 tail -f /etc/hostname >/dev/null; echo $?
