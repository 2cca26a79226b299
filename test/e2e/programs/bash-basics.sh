# Pipelines, here-docs, arrays, functions, arithmetic, expansions.
set -o pipefail
seq 1 1000 | grep 7 | sort -rn | head -5 | tr '\n' ' '; echo "st=${PIPESTATUS[*]}"
cat <<EOF | sed 's/^/> /'
here is $((6*7)) and $(echo nested "$(echo deep)")
EOF
cat <<-'EOF'
	raw $HOME
EOF
wc -c <<<"here string"
a=(one two "three four"); a+=(five); echo "${#a[@]} ${a[2]} ${a[@]:1:2} ${!a[*]}"
declare -A m=([x]=1 [y]=2); for k in "${!m[@]}"; do echo "$k=${m[$k]}"; done | sort
f() { local x=$1; ((x<=1)) && { echo 1; return; }; echo $((x*$(f $((x-1))))); }; f 8
diff <(seq 5) <(seq 2 6); echo "diff=$?"
tee >(wc -l >/tmp/n) < <(seq 10) >/dev/null; until [ -s /tmp/n ]; do sleep 0.05; done; cat /tmp/n
false | true; echo "pipefail $?"
(exit 7); echo $?
bash -c 'exit 300'; echo $?
nosuchcommand 2>/dev/null; echo $?
/etc/passwd 2>/dev/null; echo $?
echo "${PATH//:/ }" | wc -w
x="hello world"; echo "${x^^} ${x%% *} ${x/o/0} ${#x} ${x:4:3}"
printf '%05d|%-8s|%x|%q\n' 42 left 255 'a b'
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[1]}-${BASH_REMATCH[2]}"
mapfile -t lines < <(printf 'l1\nl2\nl3\n'); echo "${#lines[@]} ${lines[1]}"
exec 5>/tmp/fd5; echo to5 >&5; exec 5>&-; cat /tmp/fd5
echo {a..e}{1..2}; echo /etc/host*
ulimit -c 0; ulimit -c
umask; umask 027; touch /tmp/um; stat -c %a /tmp/um
{ time -p true; } 2>&1 | sed 's/[0-9.]*$/T/'
mkfifo /tmp/ff; read -r -t 0.1 v <>/tmp/ff; [ $? -gt 128 ] && echo timed out
coproc CAT { cat; }; echo hi >&"${CAT[1]}"; read -r l <&"${CAT[0]}"; echo "co $l"
eval "exec ${CAT[1]}>&-"; wait; echo done
