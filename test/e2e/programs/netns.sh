# Network namespaces joined by pairs and a bridge: what ip says of them, and what passes between them.
unshare -nm sh -c '
mount -t tmpfs none /run
show() { ip "$@" addr | sed "/link.ether/{s/[0-9a-f][0-9a-f]:[0-9a-f:]*/MAC/};/inet6 fe80/,/valid/d;s/qlen 1000//"; }
ip netns add X; ip netns add Y; ls /run/netns
ip link add br0 type bridge; ip link add vx0 type veth peer name vx1 netns X; ip link add vy0 type veth peer name vy1
show; ip link set vy1 netns Y; ip link set vy1 up; echo $?; ip netns | sort
ip link set vx0 master br0; ip link set vy0 master br0; ip link set vx0 up; ip link set vy0 up
show | sed "s/state [A-Z]*//"; ip -n X link set vx1 up; ip -n Y link set vy1 up; ip link set br0 up
ip addr add 10.1.0.1/24 dev br0; ip -n X addr add 10.1.0.2/24 dev vx1; ip -n Y addr add 10.1.0.3/24 dev vy1
ip -n X addr add fd00::2/64 dev vx1 nodad; ip -n Y addr add fd00::3/64 dev vy1 nodad
until [ "$(cat /sys/class/net/br0/operstate 2>/dev/null || echo up)" = up ]; do sleep 0.1; done
show -n X; show -n Y; ip -n X route; ip -n Y -6 route | grep -v fe80 | grep -v ff00 | sed "s/ pref medium//"
try() { for i in 1 2 3 4 5 6; do "$@" >/dev/null 2>&1 && { echo "$*"; return; }; done; echo "failed: $*"; }
try ping -c 1 -W 5 10.1.0.2; try ip netns exec X ping -c 1 -W 5 10.1.0.3; try ip netns exec Y ping -c 1 -W 5 fd00::2
ip -n Y link set lo up
: > /run/out; ip netns exec Y python3 -c "
import socket
for f, a in (socket.AF_INET, \"10.1.0.3\"), (socket.AF_INET6, \"fd00::3\"):
    s = socket.create_server((a, 5000), family=f); print(\"listening\", flush=True)
    c, _ = s.accept(); n = 0
    while b := c.recv(65536): n += len(b)
    print(n, flush=True)
" > /run/out & 
until [ "$(wc -l < /run/out)" = 1 ]; do sleep 0.1; done
ip netns exec X python3 -c "import socket; s = socket.create_connection((\"10.1.0.3\", 5000)); s.sendall(bytes(3000000)); s.close()"
until [ "$(wc -l < /run/out)" = 3 ]; do sleep 0.1; done
ip netns exec X python3 -c "import socket; s = socket.create_connection((\"fd00::3\", 5000)); s.sendall(bytes(3000000)); s.close()"
wait; cat /run/out
ip -n X route add 10.7.0.0/16 via 10.1.0.1; ip -n X route add 10.8.0.0/16 via 10.9.0.1 dev vx1 2>/dev/null; echo $?
ip -n X route add 10.8.0.0/16 dev lo 2>/dev/null; echo $?; ip -n X route; ip -n X link set vx1 down; ip -n X route; ip -n X link set vx1 up; ip -n X route
ip -n X neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev vx1; ip -n X neigh show 10.1.0.77; ip -n X neigh del 10.1.0.77 dev vx1; ip -n X neigh show 10.1.0.77
ip link set vx0 nomaster; ip link set vx0 name vx9 mtu 1400 address 02:00:00:00:00:99; ip link show vx9 | sed "s/qlen.*//"
for c in "add vx9 type veth peer name q" "add q type veth peer name vx9" "set lo master br0" "set br0 master br0" "set vx9 master vy0" "del lo" "set lo netns X" \
  "set br0 netns X" "set vx9 netns 999999" "set vx9 mtu 20" "set vx9 address 03:00:00:00:00:01" "set vx9 name lo" "add q type nosuchkind" "add link vx9 name q type nosuchkind" "set nope up"; do
  ip link $c 2>/dev/null; echo "$c: $?"
done
ip -br link | sed "s/ *[0-9a-f][0-9a-f]:[0-9a-f:]* / /"
: > /run/mon; (ip monitor link > /run/mon & echo $! > /run/pid); until ip link set vx9 mtu 1401 && ip link set vx9 mtu 1402 && [ -s /run/mon ]; do sleep 0.1; done
ip link add m0 type veth peer name m1; ip link set m0 up; ip link set m1 up; ip link del m0
until [ $(grep -c "Deleted.*m[01]" /run/mon) = 2 ]; do sleep 0.1; done; kill $(cat /run/pid); grep -o "Deleted.*m[01]" /run/mon | sort -u | wc -l
ip netns del X; until ! ip link show vx9 2>/dev/null >&2; do sleep 0.1; done; ip -br link | sed "s/ *[0-9a-f][0-9a-f]:[0-9a-f:]* / /"
unshare -n sleep 1000 & p=$!; until [ "$(readlink /proc/$p/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
ip link add z0 type veth peer name z1 netns $p; nsenter -n -t $p ip link show z1 | sed "s/..:..:..:..:..:.. /MAC /;s/qlen.*//"; kill $p
until ! ip link show z0 2>/dev/null >&2; do sleep 0.1; done; echo gone
setpriv --bounding-set -net_admin ip link add q type veth 2>/dev/null; echo $?
'
