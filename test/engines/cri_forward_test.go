package engines

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// forward sends data to a port of the pod as kubectl port-forward does and returns what
// comes back until the end, or until n bytes are there, and the engine's complaint.
func (p *pod) forward(port int, data []byte, n int) (got []byte, complaint string) {
	k := p.k
	k.t.Helper()
	r, err := k.client.PortForward(k.ctx, &cri.PortForwardRequest{PodSandboxId: p.id, Port: []int32{int32(port)}})
	k.check("prepare a forward", err)
	url := fmt.Sprintf("%s?port=%d", strings.Replace(r.GetUrl(), "http:", "ws:", 1), port)
	cfg, err := websocket.NewConfig(url, "http://localhost")
	k.check("parse "+url, err)
	cfg.Protocol = []string{"v4.channel.k8s.io"}
	conn, err := websocket.DialConfig(cfg)
	k.check("open "+url, err)
	defer conn.Close()
	conn.PayloadType = websocket.BinaryFrame
	go func() {
		for chunk := range slices.Chunk(data, 16<<10) {
			if _, err := conn.Write(append([]byte{0}, chunk...)); err != nil {
				return
			}
		}
	}()
	// Channel 0 is the port's data, 1 its errors; each begins with the port's number.
	var seen [2][]byte
	for len(seen[0]) < n+2 || n == 0 {
		var msg []byte
		if err := websocket.Message.Receive(conn, &msg); err != nil {
			if err != io.EOF {
				complaint = err.Error()
			}
			break
		}
		if len(msg) > 0 && msg[0] < 2 {
			seen[msg[0]] = append(seen[msg[0]], msg[1:]...)
		}
	}
	for i, b := range seen {
		if len(b) < 2 || int(b[0])|int(b[1])<<8 != port {
			k.t.Fatalf("%s: channel %d of port %d begins with %x", k.handler, i, port, b[:min(len(b), 8)])
		}
	}
	return seen[0][2:], complaint + nameless.ReplaceAllString(strings.ReplaceAll(string(seen[1][2:]), p.id, "POD"), "$1")
}

// nameless takes out what is another one each time.
var nameless = regexp.MustCompile(`(/cni-)[0-9a-f-]+|(127.0.0.1:|\[::1\]:)[0-9]+->`)

// criForward: kubectl port-forward, to programs that listen on one address or on all, or not
// at all; a lot of data; several at once; a pod that goes.
func criForward(k *kubelet) {
	p := k.runPod("forward", nil)
	id := p.run("main", "mkdir /tmp/www; echo page >/tmp/www/x; httpd -p 8080 -h /tmp/www; nc -ll -p 9001 -e cat & exec httpd -f -p 127.0.0.1:8081 -h /tmp/www", nil)
	p.run("other", "mkdir /tmp/www; echo other >/tmp/www/x; exec httpd -f -p 127.0.0.1:8082 -h /tmp/www", nil)
	k.exec(id, "sh", "-c", "until netstat -ltn | grep -c LISTEN | grep 4; do sleep 0.1; done")
	get := []byte("GET /x HTTP/1.0\r\n\r\n")
	for _, port := range []int{8080, 8081, 8082, 8083} {
		page, complaint := p.forward(port, get, 0)
		_, body, _ := strings.Cut(string(page), "\r\n\r\n")
		k.note("%d: %q %s", port, body, complaint)
	}
	done := make(chan string)
	const lot = 8 << 20
	for i := range 4 {
		go func() {
			sent := bytes.Repeat([]byte(fmt.Sprintf("%07d\n", i)), lot/8)
			got, complaint := p.forward(9001, sent, lot)
			done <- fmt.Sprintf("echo: %v %s", bytes.Equal(got, sent), complaint)
		}()
	}
	for range 4 {
		k.note("%s", <-done)
	}
	// A port that is no longer listened on.
	k.exec(id, "sh", "-c", "kill $(pidof nc); until ! netstat -ltn | grep -q :9001; do sleep 0.1; done")
	_, complaint := p.forward(9001, get, 0)
	k.note("gone: %s", complaint)
	// Nor is it when its container has gone.
	_, err := k.client.StopContainer(k.ctx, &cri.StopContainerRequest{ContainerId: id, Timeout: 0})
	k.check("stop", err)
	_, complaint = p.forward(8081, get, 0)
	k.note("stopped: %s", complaint)
	page, complaint := p.forward(8082, get, 0)
	k.note("the other: %v %s", strings.Contains(string(page), "other"), complaint)
}

// TestCRIForward: port-forward, with runc's handler and with ours.
func TestCRIForward(t *testing.T) {
	compareCRI(t, []criCase{{"forward", criForward}})
}
