# grep, sed, awk, diff, patch, perl over real files.
grep -rc include /usr/include/linux | awk -F: '{n+=$2} END {print n}'
grep -rlE 'struct [a-z_]+ \{' /usr/include/asm-generic | sort
grep -n '^root' /etc/passwd; grep nothing /etc/passwd; echo $?; grep x /nothere; echo $?; grep -rs root /proc/self/status; echo $?
sed -n '1,5p;$p' /etc/services; sed 's/[0-9]\+/<&>/g;/^#/d' /etc/services | head -5
cp /etc/services /tmp/s; sed -i.bak 's/tcp/TCP/' /tmp/s; diff -u /tmp/s.bak /tmp/s | tail -n +3 | md5sum; diff -u /tmp/s.bak /tmp/s >/tmp/p
cp /tmp/s.bak /tmp/t; patch -s /tmp/t /tmp/p && cmp /tmp/s /tmp/t && echo patched
awk -F: '{s+=$3; u[$7]++} END {print s; for (k in u) print k, u[k] | "sort"}' /etc/passwd
awk 'BEGIN { "echo cmd" | getline x; print x; print "to file" > "/tmp/af"; close("/tmp/af"); while ((getline l < "/tmp/af") > 0) print l; printf "%.3f\n", atan2(0,-1); system("exit 3") }'
perl -e 'my %h; open F, "/etc/services"; while(<F>){ $h{$1}++ if m{/(\w+)} } print "$_ $h{$_}\n" for sort keys %h'
perl -MPOSIX -e 'pipe R,W; if (my $p=fork) { close W; print "got: ", <R>; waitpid $p,0; print "st ", $?>>8, "\n" } else { print W "from child\n"; POSIX::_exit(5) }'
perl -e '$SIG{ALRM}=sub{die "alarm\n"}; alarm 1; eval { sleep 10 }; print $@; local $|=1; print "e: $!\n" unless open X, "/nope"; print join(",", map {sprintf "%o", $_ & 07777} (stat "/tmp")[2]), "\n"'
perl -MFile::Find -e 'my $n; find(sub { $n++ }, "/usr/share/perl5"); print "$n\n"'
perl -MSocket -e 'socketpair(A,B,AF_UNIX,SOCK_STREAM,0) or die; syswrite A,"sock"; sysread B,$x,10; print "$x\n"'
diff -rq /etc/alternatives /etc/alternatives && echo nodiff; cmp /etc/passwd /etc/group; echo $?; diff3 /etc/hostname /etc/hostname /etc/hostname; echo $?
bc <<<'scale=30; 4*a(1)' -l; dc -e '2 100 ^ p' 2>/dev/null; file /bin/bash /etc/passwd /bin/sh /dev/null /tmp
