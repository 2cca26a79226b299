# Traps, kill, wait, job numbers, exit codes of signals.
# exit: 9
trap 'echo exit trap' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
trap 'echo term' TERM; kill -TERM $$; trap - TERM
for s in HUP INT QUIT KILL TERM SEGV ABRT PIPE ALRM; do
	bash -c "kill -$s \$\$; sleep 5" 2>/dev/null; echo "$s $?"
done
sleep 100 & p=$!; sleep 0.3; kill -STOP $p; sleep 0.2; awk '{print $3}' /proc/$p/stat; kill -CONT $p; kill $p; wait $p; echo "wait $?"
(trap 'echo child got int; exit 3' INT; sleep 10 & wait) & p=$!; sleep 0.3; kill -INT $p; wait $p; echo "w $?"
(trap 'echo got term; exit 4' TERM; sleep 10 & wait) & p=$!; sleep 0.3; kill -TERM $p; wait $p; echo "w $?"
for i in 1 2 3; do (sleep 0.$i; exit $i) & done; for i in 1 2 3; do wait -n; echo "n $?"; done
wait 99999 2>/dev/null; echo "nochild $?"
yes | head -1; echo "${PIPESTATUS[*]}"
trap 'echo chld' CHLD; (exit 5) & wait $!; echo "c $?"; trap - CHLD
timeout 0.2 sleep 5; echo "timeout $?"
timeout -s KILL 0.2 sleep 5; echo "timeout $?"
nohup sh -c 'kill -HUP $$; echo survived' 2>/dev/null
set -m; sleep 5 & jobs -r | sed 's/&//'; kill %1; wait %1 2>/dev/null; echo "job $?"; set +m
trap '' PIPE; (trap - PIPE; yes 2>&1 | head -1 >/dev/null); echo ok
kill -l 9; kill -0 $$ && echo alive
trap -p USR1
exit 9
