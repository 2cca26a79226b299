# What lo looks like to the tools, through netlink, ioctls and /proc, in a namespace of its own.
unshare -n sh -c '
ip addr; ip link set lo up; ip addr; ip route; ip route show table local; ip rule
ip addr add 10.9.9.1/24 dev lo; ip -br addr; ip addr add 10.9.9.1/24 dev lo 2>/dev/null; echo $?
ip route add 10.8.0.0/16 via 10.9.9.7; ip route; ip route del 10.8.0.0/16; ip route del 10.8.0.0/16; echo $?
ip link set nothere up; echo $?; ip -6 route | grep -v "^local"
cat /proc/net/route /proc/net/if_inet6; busybox ifconfig lo | grep -v RX; busybox route -n
ping -q -c 1 -W 20 10.9.9.1 | grep transmitted | sed "s/, time.*//"
python3 -c "import socket; s=socket.create_server((\"127.0.0.1\", 5000)); c=socket.create_connection((\"127.0.0.1\", 5000)); a=s.accept(); import os; os.system(\"ss -Htln; ss -Hta state established | wc -l; netstat -ltn\")"
ip link set lo down; ping -c 1 -W 1 127.0.0.1 >/dev/null; echo $?
'
