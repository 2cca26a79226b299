# normalize: sort
find / -xdev -maxdepth 1 | sort; find /bin/ /boot /etc /lib/ /lib64/ /media /opt /sbin/ /srv /usr -xdev 2>/dev/null | wc -l
find /etc -xdev -type f -size +4k -printf '%s %m %p\n'
find /usr/bin -type l -printf '%p -> %l\n' | wc -l
find /usr/share -name '*.py' -print0 | xargs -0 -n 50 wc -l | tail -1
find /etc -name '*.conf' -exec grep -l include {} + 
find /usr/share/doc -maxdepth 1 -newer /etc/hostname | wc -l
cd /tmp; mkdir -p d/e; touch d/{1,2,3} d/e/{4,5}; find d -type f -delete; find d -empty
seq 100 | xargs -P4 -n10 echo | wc -w
find /nothere; echo $?
find /usr -xdev -perm -4000 -type f
