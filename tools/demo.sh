#!/bin/sh
# Runs real commands in sandboxes over this machine's own root, and checks what they say.
# Needs nothing but the runsc given as the first argument; what is not installed here is
# named. Exit status 1 if anything went wrong.
set -u
runsc=$(realpath "${1:-bin/runsc}") || exit 1
[ -x "$runsc" ] || { echo "demo.sh: $runsc is not there; run make build" >&2; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# show WANT-CODE WANT-TEXT SCRIPT: runs SCRIPT in a sandbox and shows it. The text must be
# in its output; empty means that nothing is asked of it.
show() {
	printf '\nsandbox$ %s\n' "$3"
	timeout 120 "$runsc" --root "$work/state" do --cwd / sh -c "$3" >"$work/out" 2>&1 </dev/null
	code=$?
	sed 's/^/  /' "$work/out" | head -n 12
	[ "$code" = "$1" ] || { echo "  FAILED: exit status $code instead of $1"; failed=1; }
	[ -z "$2" ] || grep -q -e "$2" "$work/out" || { echo "  FAILED: no \"$2\" in the output"; failed=1; }
}

# need PROGRAM...: whether they are installed; says so when one is not.
need() {
	for p; do
		command -v "$p" >/dev/null || { printf '\n(not shown: %s is not installed here)\n' "$p"; return 1; }
	done
}

echo "This machine: $(uname -srm)"
echo "Each command below runs in a sandbox of its own: runsc do sh -c ..."
show 0 '^Linux' 'uname -srm'
show 0 "uid=$(id -u)" 'id'
need ps && show 0 'ps' 'ps -eo pid,ppid,stat,args'
show 0 'Lazaret' 'cat /proc/version; ls / | wc -l'

# Writing goes to memory: the next sandbox and the host do not see it.
mark=/etc/lazaret-demo-$$
show 0 'written' "echo written > $mark && cat $mark && rm /bin/ls && ! ls / 2>/dev/null"
show 2 'No such file' "ls $mark"
if [ -e "$mark" ] || [ ! -x /bin/ls ]; then
	echo "  FAILED: the host was changed"
	failed=1
else
	echo "  (the host still has /bin/ls, and no $mark)"
fi

show 0 'three' 'printf "one\ntwo\nthree\n" | sort -r | tr a-z A-Z | tr A-Z a-z | grep t'
show 3 '' 'exit 3'
show 137 '' 'sh -c "kill -KILL \$\$"; exit $?'
need python3 && show 0 '^42$' 'python3 -c "import threading; t = threading.Thread(target=lambda: print(6 * 7)); t.start(); t.join()"'
need gcc && show 0 'hello from gcc' \
	'cd /tmp && printf "#include <stdio.h>\nint main(void) { puts(\"hello from gcc\"); }\n" > h.c && gcc -O2 -o h h.c && ./h'
need go && show 0 'go version' "$(command -v go) version"
need strace && show 0 'exited with 0' 'strace -e trace=execve true'

printf '\nThe same, as the kernel of the sandbox sees it:\n'
printf '$ runsc --strace do true\n'
timeout 60 "$runsc" --root "$work/state" --strace --strace-log "$work/strace" do true </dev/null
grep -q exit_group "$work/strace" || { echo "  FAILED: no trace"; failed=1; }
tail -n 3 "$work/strace" | cut -c 1-120 | sed 's/^/  /'

left=$(ls "$work/state" 2>/dev/null)
[ -z "$left" ] || { echo "FAILED: left behind under --root: $left"; failed=1; }
[ "$failed" = 0 ] || { printf '\ndemo: FAILED\n'; exit 1; }
printf '\ndemo: all as expected\n'
