# Traps, kill, wait, job numbers, exit codes of signals.
# exit: 9
mkfifo /tmp/never
# for_ waits for a condition, without a process of its own: bash names process ids below.
for_() { for _ in {1..600}; do eval "$1" && return; read -t 0.1 <>/tmp/never; done; echo "never: $1"; }
trap 'echo exit trap' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
trap 'echo term' TERM; kill -TERM $$; trap - TERM
for s in HUP INT QUIT KILL TERM SEGV ABRT PIPE ALRM; do
	bash -c "kill -$s \$\$; exit 7" 2>/dev/null; echo "$s $?"
done
sleep 100 & p=$!; for_ 'read -r x </proc/$p/comm; [[ $x = sleep ]]'; kill -STOP $p; for_ 'read -r x </proc/$p/stat; [[ $x = *"(sleep) T"* ]]'; awk '{print $3}' /proc/$p/stat; kill -CONT $p; kill $p; wait $p; echo "wait $?"
(trap 'echo child got int; exit 3' INT; sleep 100 & >/tmp/int; wait) & p=$!; for_ '[ -e /tmp/int ]'; kill -INT $p; wait $p; echo "w $?"
(trap 'echo got term; exit 4' TERM; sleep 100 & >/tmp/term; wait) & p=$!; for_ '[ -e /tmp/term ]'; kill -TERM $p; wait $p; echo "w $?"
mkfifo /tmp/g{1,2,3}; for i in 1 2 3; do (read -r </tmp/g$i; exit $i) & done; for i in 1 2 3; do echo >/tmp/g$i; wait -n; echo "n $?"; done
wait 99999 2>/dev/null; echo "nochild $?"
yes | head -1; echo "${PIPESTATUS[*]}"
trap 'echo chld' CHLD; (exit 5) & wait $!; echo "c $?"; trap - CHLD
timeout 0.2 sleep 100; echo "timeout $?"
timeout -s KILL 0.2 sleep 100; echo "timeout $?"
nohup sh -c 'kill -HUP $$; echo survived' 2>/dev/null
set -m; sleep 100 & jobs -r | sed 's/&//'; kill %1; wait %1 2>/dev/null; echo "job $?"; set +m
trap '' PIPE; (trap - PIPE; yes 2>&1 | head -1 >/dev/null); echo ok
kill -l 9; kill -0 $$ && echo alive
trap -p USR1
exit 9
