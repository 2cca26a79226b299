# sshd with ssh, scp, sftp and forwarding; rsync over ssh and against its daemon; over lo.
cd /tmp; mkdir -p k /run/sshd home src/sub; chmod 700 home
sed -i '/^root:/s#:[^:]*$#:/bin/sh#' /etc/passwd # what root's bash does first is this machine's affair
for t in ed25519 rsa; do ssh-keygen -q -t $t -b 2048 -N '' -f k/host_$t; done
ssh-keygen -q -t ed25519 -N '' -f k/id; cp k/id.pub k/authorized
cat > sshd.conf <<C
Port 2222
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey /tmp/k/host_ed25519
HostKey /tmp/k/host_rsa
AuthorizedKeysFile /tmp/k/authorized
PidFile /tmp/sshd.pid
UsePAM no
StrictModes no
PrintMotd no
PrintLastLog no
PermitRootLogin yes
Subsystem sftp internal-sftp
C
cat > ssh.conf <<C
Host box box6
 HostName 127.0.0.1
 Port 2222
 User root
 IdentityFile /tmp/k/id
 UserKnownHostsFile /tmp/k/known
 StrictHostKeyChecking accept-new
 LogLevel ERROR
Host box6
 HostName ::1
C
/usr/sbin/sshd -f sshd.conf -E sshd.log; echo sshd $?
S="ssh -F ssh.conf"
until nc -z 127.0.0.1 2222; do sleep 0.1; done
$S box 'echo over ssh; id -un; exit 7'; echo $?
$S box6 'echo $SSH_CONNECTION' | cut -d' ' -f1,3,4
echo through | $S box 'tr a-z A-Z'
$S -tt box 'tty | sed s/[0-9]*$//; stty size' </dev/null | tr -d '\r'
head -c 1000000 /dev/zero | $S box 'wc -c; echo to stderr >&2'
head -c 500000 /dev/urandom > src/big; echo small > src/sub/small; ln -s small src/sub/link; chmod 640 src/sub/small
scp -q -F ssh.conf -r src box:/tmp/copied; diff -r src copied && echo scp the same
printf 'cd /tmp/src\nls -1\nget big /tmp/fetched\nmkdir /tmp/made\nput /tmp/src/sub/small /tmp/made/x\n' | sftp -q -b - -F ssh.conf box | grep -v '^sftp>'; cmp src/big fetched && ls made
python3 -m http.server 8077 --bind 127.0.0.1 >/dev/null 2>&1 & web=$!
until nc -z 127.0.0.1 8077; do sleep 0.1; done
$S -f -N -o ExitOnForwardFailure=yes -o ControlMaster=yes -o ControlPath=/tmp/ctl -L 9077:127.0.0.1:8077 -D 9078 box
curl -s http://127.0.0.1:9077/ssh.conf | head -1; curl -s --socks5 127.0.0.1:9078 http://127.0.0.1:8077/sshd.conf | head -1
$S -o ControlPath=/tmp/ctl box 'echo shares the connection'; $S -o ControlPath=/tmp/ctl -O exit box 2>/dev/null; kill $web; wait $web 2>/dev/null
ssh -F none -p 2222 -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/tmp/k/known -i k/host_rsa root@127.0.0.1 true 2>/dev/null; echo refused $?
rsync -a -e "$S" src/ box:/tmp/synced/; diff -r src synced && stat -c %a synced/sub/small && readlink synced/sub/link
echo changed >> src/sub/small; rm src/big; rsync -ai --delete -e "$S" src/ box:/tmp/synced/
printf 'use chroot = no\nuid = 0\ngid = 0\n[m]\npath = /tmp/src\nread only = yes\n' > rsyncd.conf
rsync --daemon --no-detach --address 127.0.0.1 --port 8730 --config rsyncd.conf & d=$!
until nc -z 127.0.0.1 8730; do sleep 0.1; done
rsync --port 8730 127.0.0.1::; rsync -a --port 8730 127.0.0.1::m/ pulled; diff -r src pulled && echo rsync the same; rsync -a --port 8730 ssh.conf 127.0.0.1::m/ >/dev/null 2>&1; echo $?
kill $d; wait $d; kill $(cat sshd.pid); until ! nc -z 127.0.0.1 2222; do sleep 0.1; done
