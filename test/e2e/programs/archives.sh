# Round trips through tar and the compressors.
cd /tmp
for z in gzip xz bzip2; do
	tar -C /usr/share -cf - perl5 bash-completion 2>/dev/null | $z -1 >a.tar.$z
	mkdir out.$z; tar -xf a.tar.$z -C out.$z
	for d in perl5 bash-completion; do [ -d /usr/share/$d ] && diff -r /usr/share/$d out.$z/$d && echo $z $d same; done
	tar -tvf a.tar.$z | awk '{print $1,$2,$3,$NF}' | sort | md5sum
	$z -t a.tar.$z && echo ok
done
tar -cf links.tar -C /etc alternatives && tar -tvf links.tar | awk '{print $1,$2,$6,$7,$8}' | md5sum
mkdir s; truncate -s 5M s/sparse; printf x | dd of=s/sparse seek=3M bs=1 conv=notrunc 2>/dev/null; ln s/sparse s/hard; mkfifo s/fifo
tar -Scf s.tar s; rm -r s; tar -xf s.tar; stat -c '%s %h %F' s/*; md5sum <s/hard
gzip -9 -k -c /etc/services | gunzip | cmp - /etc/services && echo gz
echo broken | gunzip; echo $?
head -c 1000 a.tar.gzip | tar -tzf - >/dev/null 2>&1; echo $?
find /usr/share/perl5 -name '*.pm' | head -200 | sort | cpio -o 2>/dev/null >/dev/null; tar --help >/dev/null && echo help
