# timeout: 60s
# The tools that look at a network, and small servers, over lo in a namespace of their own.
cat > /tmp/tools <<'S'
ip link set lo up; cd /tmp
printf '127.0.0.1 box.test\n10.1.2.3 far.test\nfd00::7 far.test\n' > hosts
dnsmasq --no-daemon --no-resolv --no-hosts --addn-hosts=hosts --port 5353 --listen-address 127.0.0.1 --bind-interfaces --user=root --txt-record=t.test,text --mx-host=m.test,box.test,10 >/dev/null 2>&1 & dns=$!; until ss -Hlun | grep -q :5353 && ss -Hltn | grep -q :5353; do sleep 0.1; done
D="dig @127.0.0.1 -p 5353 +tries=5 +timeout=2"
$D +short far.test; $D +short far.test AAAA; $D +tcp +short t.test TXT; $D +short m.test MX; $D +short -x 10.1.2.3; $D nothere.test | grep -o 'status: [A-Z]*'; $D +short +bufsize=512 +ignore box.test
kill $dns; wait $dns 2>/dev/null
(nc -N -l 127.0.0.1 7001 </dev/null > got &) ; until ss -Hltn | grep -q :7001; do sleep 0.1; done
echo by nc | nc -N 127.0.0.1 7001; until [ -s got ]; do sleep 0.1; done; cat got
nc -z 127.0.0.1 7009; echo closed $?
(nc -u -W 1 -l 127.0.0.1 7002 > got2 &); until ss -Hlun | grep -q :7002; do sleep 0.1; done; echo datagram | nc -u -w 1 127.0.0.1 7002; until [ -s got2 ]; do sleep 0.1; done; cat got2
socat TCP6-LISTEN:7003,fork,reuseaddr EXEC:'tr a-z A-Z' & s1=$!
socat UNIX-LISTEN:/tmp/u.sock,fork TCP6:[::1]:7003 & s2=$!
until [ -S u.sock ] && ss -Hltn | grep -q :7003; do sleep 0.1; done
echo through a relay | socat -t 5 - UNIX-CONNECT:/tmp/u.sock; seq 1 50000 | socat -t 5 - TCP6:[::1]:7003 | md5sum
kill $s1 $s2; wait 2>/dev/null
ping -q -c 2 -i 0.2 127.0.0.1 | grep -o '.*packet loss'; ping -q -c 2 -i 0.2 -s 3000 ::1 | grep -o '.*packet loss'; ping -c 1 -W 1 10.77.0.1 2>&1; ping -c 1 -t 3 -Q 16 -M do 127.0.0.1 | grep -o 'ttl=.*time'
traceroute -n -q 1 -w 2 127.0.0.1 | sed 's/[0-9.]* ms/TIME/; s/max,.*//'; traceroute -6 -n -q 1 -w 2 ::1 | sed 's/[0-9.]* ms/TIME/; s/max,.*//'; traceroute -I -n -q 1 127.0.0.1 | tail -1 | sed 's/[0-9.]* ms/TIME/'; traceroute -T -p 7009 -n -q 1 127.0.0.1 | tail -1 | sed 's/[0-9.]* ms/TIME/'
ip addr add 192.0.2.1/24 dev lo; ip neigh; ip -s link show lo | wc -l; ip route get 127.0.0.1 | head -1; ip route get 8.8.8.8; ip -j addr show lo | python3 -c 'import json,sys; print([a["local"] for a in json.load(sys.stdin)[0]["addr_info"]])'
ip -br link; ip rule; ip -6 rule; ip -4 route show table all
cat > socks.py <<'P'
import socket, os, time
l = socket.create_server(("127.0.0.1", 7010)); c = socket.create_connection(("127.0.0.1", 7010)); a, _ = l.accept(); c.sendall(b"x" * 100)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 7011)); u.connect(("127.0.0.1", 7012))
x = socket.socket(socket.AF_UNIX); x.bind("/tmp/x.sock"); x.listen(); p = socket.socketpair()
time.sleep(0.1)
os.system("ss -Htn | sort | awk '{print $1,$2,$3,NF}'; ss -Htln; ss -Huna; ss -Hxl | awk '{print $1,$2,$5}'; netstat -tuln | tail -n +3; netstat -tn | grep -c ESTABLISHED; ss -Htno '( dport = :7010 )' | awk '{print $3}'")
P
python3 socks.py
S
unshare -n bash /tmp/tools
