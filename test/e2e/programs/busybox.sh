b=$(command -v busybox)
cd /tmp; $b mkdir -p d; $b seq 5 | $b awk '{s+=$1} END {print s}'; $b --help | $b head -1 | $b cut -d' ' -f1
$b sh -c 'for i in 1 2 3; do echo $i; done | busybox sort -r; echo $((3*4)); trap "echo bye" EXIT; (exit 4); echo $?'
$b tar -cf t.tar -C /etc passwd group && $b tar -tf t.tar && $b md5sum <t.tar >/dev/null && echo sum
$b vi -c q /dev/null </dev/null >/dev/null 2>&1; $b ps >ps.txt; $b grep -c '[b]ash' ps.txt
$b uname -s; $b id -u; $b free | $b head -1 | $b wc -w; $b df /tmp | $b tail -1 | $b awk '{print $6}'
$b timeout 1 $b sleep 100; echo $?; $b find /etc -name passwd; $b grep -c : /etc/passwd; $b sha1sum /etc/passwd; $b dd if=/dev/zero bs=1k count=3 2>/dev/null | $b wc -c
