# Each step waits for what it shows, however long that takes.
export TMUX_TMPDIR=/tmp; cd /tmp; mkdir -p $HOME
for_() { for _ in {1..600}; do eval "$1" && return; sleep 0.1; done; echo "never: $1"; }
pane() { tmux capture-pane -pt s | grep -v '^$'; }
of() { tmux display -pt s "#{$1}"; }
# shown N TEXT: TEXT is on N lines, and the shell has its prompt again.
shown() { [ "$(pane | grep -c "$2")" = $1 ] && [ "$(pane | tail -1)" = '>' ]; }
tmux -f /dev/null new-session -d -s s -x 80 -y 24 'env -i TERM=$TERM PATH=$PATH PS1="> " sh'; echo $?
for_ 'shown 1 "^>"'
tmux send-keys -t s 'echo $((6*7)); stty size; tty' Enter; for_ 'shown 1 "^/dev/pts"'; pane
tmux split-window -t s -d 'exec sleep 300'; for_ 'tmux list-panes -t s -F "#{pane_current_command}" | grep -q sleep'; tmux list-panes -t s -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command}'
for_ '[ "$(stty -F $(of pane_tty) size)" = "$(of pane_height) $(of pane_width)" ]'
tmux send-keys -t s 'stty size' Enter; for_ 'shown 2 "^[0-9]* [0-9]*$"'; pane | tail -2
tmux send-keys -t s 'sleep 500' Enter; for_ '[ $(of pane_current_command) = sleep ]'; tmux send-keys -t s C-c; for_ '[ $(of pane_current_command) = sh ]'; tmux send-keys -t s 'echo st $?' Enter; for_ 'shown 1 "^st [0-9]"'; pane | tail -2
tmux resize-window -t s -x 100 -y 30; tmux list-windows -t s -F '#{window_width}x#{window_height}'; p=$(of pid); tmux kill-server; echo $?; for_ '! kill -0 $p 2>/dev/null'; tmux ls 2>&1 | sed 's/(.*//'
