# The rules of iptables that Docker and service meshes install: how they are shown, and what they do.
unshare -nm sh -c '
mount -t tmpfs none /run; export XTABLES_LOCKFILE=/run/lock
i=iptables-legacy; ip link set lo up
counted() { iptables-legacy-save -c "$@" | grep -v "^[:#]"; }
ip netns add C; ip netns add S
ip link add c0 type veth peer name c1 netns C; ip link add s0 type veth peer name s1 netns S
for l in c s; do ip link set ${l}0 up; done; ip addr add 10.1.0.1/24 dev c0; ip addr add 10.2.0.1/24 dev s0
ip -n C link set lo up; ip -n C link set c1 up; ip -n C addr add 10.1.0.2/24 dev c1; ip -n C route add default via 10.1.0.1
ip -n S link set lo up; ip -n S link set s1 up; ip -n S addr add 10.2.0.2/24 dev s1
cat > /run/serve.py <<P
import socket, sys
s = socket.create_server((sys.argv[1], int(sys.argv[2]))); open("/run/" + sys.argv[3], "w").close()
while True:
    c, a = s.accept(); c.sendall((sys.argv[3] + " sees " + a[0]).encode()); c.close()
P
cat > /run/ask.py <<P
import socket, struct, sys, os, errno, encodings.idna
if len(sys.argv) > 3: os.setuid(int(sys.argv[3]))
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10); r = s.recv(100).decode(); s.settimeout(10)
    try: o = s.getsockopt(0, 80, 16); o = socket.inet_ntoa(o[4:8]) + ":" + str(struct.unpack(">H", o[2:4])[0])
    except OSError as e: o = errno.errorcode[e.errno]
    print(r, o)
except OSError as e: print(errno.errorcode.get(e.errno, e))
P
echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/conf/all/forwarding
python3 /run/serve.py 0.0.0.0 8080 router & servers=$!; ip netns exec S python3 /run/serve.py 0.0.0.0 8080 server & servers="$servers $!"
until [ -e /run/router ] && [ -e /run/server ]; do sleep 0.1; done
ask="python3 /run/ask.py"; c="ip netns exec C python3 /run/ask.py"
$i -S; $i -t nat -S; cat /proc/net/ip_tables_names
$ask 127.0.0.1 80
$i -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 8080; $ask 127.0.0.1 80; $ask 10.2.0.2 80
$c 10.1.0.1 80
$i -t nat -A PREROUTING -i c0 -p tcp --dport 80 -j REDIRECT --to-ports 8080; $c 10.1.0.1 80; $c 10.9.9.9 80
$i -t nat -A PREROUTING -d 10.1.0.1 -p tcp -m multiport --dports 90,100:110 -j DNAT --to-destination 10.2.0.2:8080
ip -n S route add 10.1.0.0/24 via 10.2.0.1; $c 10.1.0.1 105; $c 10.2.0.2 8080; ip -n S route del 10.1.0.0/24
$i -t nat -A POSTROUTING -s 10.1.0.0/24 -o s0 -j MASQUERADE; $c 10.1.0.1 90; $c 10.2.0.2 8080
ip netns exec C ping -q -c 2 -i 0.2 -W 10 10.2.0.2 | grep -o "[0-9]* received"
counted -t nat
$i -t nat -F; $i -t nat -A POSTROUTING -s 10.1.0.0/24 -j SNAT --to-source 10.2.0.1; $c 10.2.0.2 8080
$i -P FORWARD DROP; $i -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
$i -N DOCKER; $i -A FORWARD -o s0 -j DOCKER; $i -A DOCKER -i c0 -p tcp -d 10.2.0.2 --dport 8080 -m comment --comment "to the server" -j ACCEPT
$c 10.2.0.2 8080; ip netns exec C ping -q -c 1 -W 1 10.2.0.2 | grep -o "[0-9]* received"; $i -S
$i -F DOCKER; $i -A DOCKER -j RETURN; $i -A FORWARD -j REJECT --reject-with icmp-host-prohibited; $c 10.2.0.2 8080; $i -P FORWARD ACCEPT; $i -F; $i -X
$i -t nat -N MESH; $i -t nat -A OUTPUT -p tcp -j MESH; $i -t nat -A MESH -m owner --uid-owner 1337 -j RETURN; $i -t nat -A MESH -p tcp --dport 81 -j REDIRECT --to-ports 8080
$ask 127.0.0.1 81 1338; $ask 127.0.0.1 81 1337; $i -t nat -S MESH
$i -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.2.0.2; $c 10.1.0.1 8080; $i -t nat -F
$i -t mangle -A OUTPUT -p icmp --icmp-type echo-request -j MARK --set-mark 7; $i -A OUTPUT -m mark --mark 7 -j DROP; ping -c 1 -W 1 127.0.0.1 >/dev/null; echo $?; $i -F; $i -t mangle -F
$i -A INPUT -p icmp --icmp-type echo-request -m limit --limit 1/hour --limit-burst 3 -j ACCEPT; $i -A INPUT -p icmp --icmp-type echo-request -j DROP; $i -S INPUT
ping -q -c 5 -i 0.2 -W 1 127.0.0.1 | grep -o "[0-9]* received"; $i -F
$i -A INPUT -p udp --dport 53 -j ACCEPT; $i -A INPUT ! -s 10.0.0.0/8 -i lo+ -p tcp ! --dport 1:99 --syn -j DROP; $i -I INPUT 1 -m state --state NEW -j ACCEPT; $i -S
saved() { iptables-legacy-save | sed "/^#/d;s/ .[0-9]*:[0-9]*.\$//"; }; saved > /run/saved; iptables-legacy-save > /run/all; $i -F; iptables-legacy-restore < /run/all; saved | cmp - /run/saved && $i -S INPUT; $i -F
for r in "-t nope -S" "-t nat -A INPUT -j DNAT --to 1.1.1.1" "-A INPUT -j MASQUERADE" "-A INPUT -p udp --syn -j ACCEPT" "-D INPUT 7" "-A NOCHAIN -j DROP" "-N INPUT" "-X NOCHAIN"; do
  $i $r >/dev/null 2>&1; echo "$r: $?"
done
$i -N A; $i -N B; $i -A INPUT -j A; $i -A A -j B; $i -A B -j A 2>/dev/null; echo loop $?; $i -F; $i -X
ip6tables-legacy -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 8080; ip6tables-legacy -t nat -S
setpriv --bounding-set -net_admin --inh-caps -net_admin $i -S 2>/dev/null; echo $?
kill $servers
'
