# vim reads commands from standard input in this mode, and ends when that does.
cd /tmp; mkdir -p $HOME; seq 20 >f; vim -u NONE -es -c '%s/1/one/g' -c '5,10d' -c 'wq' f; echo $?; cat f; vim -u NONE -es -c 'r !echo from shell' -c 'w! g' -c 'q!' < <(sleep 100); cat g; ls -A | grep -c swp
printf '1d\n$a\nlast\n.\nwq\n' | vim -u NONE -es - 2>/dev/null; ed -s f <<<$'1p\nq' 2>/dev/null; sed -i 1d f; head -1 f
