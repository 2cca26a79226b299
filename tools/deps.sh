#!/bin/sh
# Installs the Debian packages that the tests use. Needs root; does nothing when all are there.
set -eu
packages="gcc g++ make libc6-dev linux-libc-dev libseccomp-dev musl-tools busybox-static debootstrap
runc strace gdb tmux vim lsof procps psmisc python3 python3-venv perl git openssl openssh-client sqlite3 xz-utils
bzip2 stress-ng file bc patch cpio findutils diffutils gawk sed grep tar gzip util-linux dpkg-dev apt-utils iproute2 nodejs npm golang-go
iputils-ping curl nginx-light wrk redis-server iperf3 memcached postgresql openssh-server bind9-dnsutils dnsmasq-base
traceroute net-tools netcat-openbsd socat tcpdump rsync
docker.io containerd podman catatonit containernetworking-plugins crun iptables
systemd dbus"
missing=""
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
# Toolchains that the machine has from elsewhere need no package.
command -v go >/dev/null && missing=$(echo "$missing" | sed 's/ golang-go//')
command -v node >/dev/null && missing=$(echo "$missing" | sed 's/ nodejs//')
command -v npm >/dev/null && missing=$(echo "$missing" | sed 's/ npm//')
command -v git >/dev/null && missing=$(echo "$missing" | sed 's/ git / /')
command -v python3 >/dev/null && missing=$(echo "$missing" | sed 's/ python3 / /')
[ -z "$(echo "$missing" | tr -d ' ')" ] && exit 0
if [ "$(id -u)" != 0 ]; then
	echo "deps.sh: not root, and these packages are missing:$missing; run as root or: apt-get install$missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Servers are for the tests to start.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod +x /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
