package engines

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Channels of a stream: the first byte of each message (v4.channel.k8s.io).
const (
	chanIn = iota
	chanOut
	chanErr
	chanStatus
	chanResize
	numChans
)

// stream is kubectl's side of exec -i and attach, over a WebSocket.
type stream struct {
	k    *kubelet
	conn *websocket.Conn

	mu   sync.Mutex
	seen [numChans]string
	end  bool
}

// dial opens the stream that the engine has prepared.
func (k *kubelet) dial(url string, err error) *stream {
	k.t.Helper()
	k.check("prepare a stream", err)
	cfg, err := websocket.NewConfig(strings.Replace(url, "http:", "ws:", 1), "http://localhost")
	k.check("parse "+url, err)
	cfg.Protocol = []string{"v4.channel.k8s.io"}
	conn, err := websocket.DialConfig(cfg)
	k.check("open "+url, err)
	conn.PayloadType = websocket.BinaryFrame
	s := &stream{k: k, conn: conn}
	go s.read()
	k.t.Cleanup(func() { conn.Close() })
	return s
}

func (s *stream) read() {
	for {
		var msg []byte
		err := websocket.Message.Receive(s.conn, &msg)
		s.mu.Lock()
		if err != nil {
			s.end = true
		} else if len(msg) > 1 && msg[0] < numChans {
			s.seen[msg[0]] += string(msg[1:])
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// send writes a message; one that comes too late is no failure.
func (s *stream) send(channel byte, data string) {
	_, _ = s.conn.Write(append([]byte{channel}, data...))
}

func (s *stream) typeText(text string) { s.send(chanIn, text) }

func (s *stream) resize(width, height int) {
	data, err := json.Marshal(map[string]int{"Width": width, "Height": height})
	s.k.check("encode a size", err)
	s.send(chanResize, string(data))
}

// sees says whether text came; what came before it is forgotten.
func (s *stream) sees(channel int, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := strings.Index(s.seen[channel], text)
	if i >= 0 {
		s.seen[channel] = s.seen[channel][i+len(text):]
	}
	return i >= 0
}

// expect waits for text.
func (s *stream) expect(channel int, text string) {
	s.k.t.Helper()
	s.k.until(text, func() bool { return s.sees(channel, text) })
}

// ask types a command until its answer comes: what it asks for may take a moment.
func (s *stream) ask(command, answer string) {
	s.k.t.Helper()
	for s.k.ctx.Err() == nil {
		s.typeText(command + "\n")
		for range 20 {
			if s.sees(chanOut, answer) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	s.k.t.Fatalf("%s: %q never says %q", s.k.handler, command, answer)
}

// ends waits for the end and notes what came at last, and the status.
func (s *stream) ends(what string) {
	s.k.t.Helper()
	s.k.until("the end of "+what, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.end
	})
	var st struct {
		Status, Message string
		Details         struct {
			Causes []struct{ Reason, Message string }
		}
	}
	text := s.seen[chanStatus]
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		s.k.note("%s: status %q", what, text)
	}
	s.k.note("%s: %s %v; stdout %q stderr %q", what, st.Status, st.Details.Causes, s.seen[chanOut], s.seen[chanErr])
}

func (k *kubelet) stream(id string, tty, stdin bool, argv ...string) *stream {
	k.t.Helper()
	r, err := k.client.Exec(k.ctx, &cri.ExecRequest{ContainerId: id, Cmd: argv, Tty: tty, Stdin: stdin, Stdout: true, Stderr: !tty})
	return k.dial(r.GetUrl(), err)
}

func (k *kubelet) attach(id string, tty bool) *stream {
	k.t.Helper()
	r, err := k.client.Attach(k.ctx, &cri.AttachRequest{ContainerId: id, Tty: tty, Stdin: true, Stdout: true, Stderr: !tty})
	return k.dial(r.GetUrl(), err)
}

// criExec: kubectl exec -it and exec -i.
func criExec(k *kubelet) {
	p := k.runPod("exec", nil)
	id := p.run("main", "exec sleep 1000", nil)
	s := k.stream(id, true, true, "sh")
	s.expect(chanOut, "#")
	s.resize(100, 40)
	s.ask("stty size", "40 100")
	s.resize(120, 50)
	s.ask("stty size", "50 120")
	s.ask("tty", "/dev/pts/")
	s.typeText("sh -c \"trap 'echo cau''ght; exit' INT; echo rea''dy; while :; do sleep 0.1; done\"\n")
	s.expect(chanOut, "ready")
	s.typeText("\x03")
	s.expect(chanOut, "caught")
	s.ask("echo o''n", "on")
	s.typeText("exit 6\n")
	s.expect(chanOut, "exit 6")
	s.seen[chanOut] = ""
	s.ends("terminal")

	s = k.stream(id, false, true, "sh", "-c", "echo ready; read a; echo got $a; echo oops >&2; exit 3")
	s.expect(chanOut, "ready\n")
	s.typeText("a line\n")
	s.ends("pipes")
	k.stream(id, false, false, "sh", "-c", "cat; head -c 300000 /dev/zero | tr '\\0' x | wc -c; exit 0").ends("no stdin")
	k.stream(id, false, false, "sh", "-c", "kill -9 $$").ends("killed")
	k.stream(id, false, false, "no-such-program").ends("no program")

	s = k.stream(id, false, true, "sh", "-c", "echo ready; cat >/tmp/in; echo end >>/tmp/in")
	s.expect(chanOut, "ready\n")
	s.typeText("last words\n")
	s.conn.Close()
	k.exec(id, "sh", "-c", "until grep -q end /tmp/in; do sleep 0.1; done; cat /tmp/in")
}

// criAttach: kubectl attach, to a terminal and to pipes, leaving and coming back.
func criAttach(k *kubelet) {
	p := k.runPod("attach", nil)
	id := p.run("tty", "exec sh", func(c *cri.ContainerConfig) { c.Tty, c.Stdin = true, true })
	s := k.attach(id, true)
	s.resize(90, 30)
	s.ask("stty size", "30 90")
	s.conn.Close()
	s = k.attach(id, true)
	s.ask("echo ba''ck", "back")
	s.typeText("exit 7\n")
	k.wait(id)
	pipes := func(name string, once bool) {
		id := p.run(name, "while read a; do echo got $a; echo err $a >&2; done; echo end; exit 4", func(c *cri.ContainerConfig) { c.Stdin, c.StdinOnce = true, once })
		s := k.attach(id, false)
		s.typeText("one\n")
		s.expect(chanOut, "got one\n")
		s.expect(chanErr, "err one\n")
		s.conn.Close()
		if !once {
			s = k.attach(id, false)
			s.typeText("two\n")
			s.expect(chanOut, "got two\n")
			_, err := k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 0})
			k.check("stop", err)
		}
		k.wait(id)
	}
	pipes("once", true)
	pipes("again", false)
}

// TestCRIStreams: what people type at kubectl, with runc's handler and with ours.
func TestCRIStreams(t *testing.T) {
	compareCRI(t, []criCase{{"exec", criExec}, {"attach", criAttach}})
}
