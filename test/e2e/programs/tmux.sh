# timeout: 60s
export TMUX_TMPDIR=/tmp; cd /tmp; mkdir -p $HOME
tmux -f /dev/null new-session -d -s s -x 80 -y 24 'env -i TERM=$TERM PATH=$PATH PS1="> " sh'; echo $?
until tmux capture-pane -pt s | grep -q '>'; do sleep 0.1; done
tmux send-keys -t s 'echo $((6*7)); stty size; tty' Enter; sleep 0.7; tmux capture-pane -pt s | grep -v '^$'
tmux split-window -t s -d 'exec sleep 30'; sleep 0.7; tmux list-panes -t s -F '#{pane_index} #{pane_width}x#{pane_height} #{pane_current_command}'
tmux send-keys -t s 'stty size' Enter; sleep 0.5; tmux capture-pane -pt s | grep -v '^$' | tail -2
tmux send-keys -t s 'sleep 50' Enter; sleep 0.4; tmux send-keys -t s C-c; sleep 0.4; tmux send-keys -t s 'echo st $?' Enter; sleep 0.5; tmux capture-pane -pt s | grep -v '^$' | tail -2
tmux resize-window -t s -x 100 -y 30; sleep 0.2; tmux list-windows -t s -F '#{window_width}x#{window_height}'; tmux kill-server; echo $?; sleep 0.5; tmux ls 2>&1 | sed 's/(.*//'
