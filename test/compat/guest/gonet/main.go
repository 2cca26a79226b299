package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	pipe()
	stream()
	datagrams()
	passing()
	many()
	web()
}

func must[T any](v T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "FATAL", err)
		os.Exit(99)
	}
	return v
}

func pipe() {
	fmt.Println("## pipe")
	a, b := net.Pipe()
	go func() {
		fmt.Fprint(a, "in memory")
		a.Close()
	}()
	data, err := io.ReadAll(b)
	fmt.Printf("%q %v\n", data, err)
}

func stream() {
	fmt.Println("## stream")
	l := must(net.Listen("unix", "sock"))
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				io.Copy(c, c) // splice
			}()
		}
	}()
	c := must(net.Dial("unix", "sock"))
	fmt.Fprint(c, "echo")
	buf := make([]byte, 4)
	n, err := io.ReadFull(c, buf)
	fmt.Println(n, err, string(buf))
	c.SetReadDeadline(time.Now().Add(15 * time.Millisecond))
	_, err = c.Read(buf)
	var ne net.Error
	fmt.Println(errors.As(err, &ne) && ne.Timeout())
	c.SetDeadline(time.Time{})
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var got []byte
	var wg sync.WaitGroup
	wg.Go(func() {
		got = must(io.ReadAll(c))
	})
	n = must(c.Write(big))
	fmt.Println(n)
	c.(*net.UnixConn).CloseWrite()
	wg.Wait()
	fmt.Println(bytes.Equal(got, big))
	l.Close()
	_, err = os.Stat("sock")
	fmt.Println("unlinked:", errors.Is(err, os.ErrNotExist))
	_, err = net.Dial("unix", "sock")
	fmt.Println(errors.Is(err, syscall.ENOENT))
	// A reader that waits is woken by close.
	x, y := net.Pipe()
	go func() {
		time.Sleep(10 * time.Millisecond)
		x.Close()
	}()
	_, err = x.Read(buf)
	fmt.Println(err)
	y.Close()
}

func datagrams() {
	fmt.Println("## datagrams")
	a := must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@dg-a", Net: "unixgram"}))
	b := must(net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "@dg-b", Net: "unixgram"}))
	for i := range 3 {
		must(b.WriteTo(bytes.Repeat([]byte{'m'}, i), a.LocalAddr()))
	}
	buf := make([]byte, 100)
	for range 3 {
		n, from, err := a.ReadFrom(buf)
		fmt.Println(n, from, err)
	}
	p := must(net.Listen("unixpacket", "@packet"))
	go func() {
		c := must(p.Accept())
		n := must(c.Read(buf))
		c.Write(buf[:n])
		c.Close()
	}()
	c := must(net.Dial("unixpacket", "@packet"))
	must(c.Write([]byte("packet")))
	out := make([]byte, 100)
	n, err := c.Read(out)
	fmt.Printf("%q %v\n", out[:n], err)
	n, err = c.Read(out)
	fmt.Println(n, err)
}

func passing() {
	fmt.Println("## passing")
	l := must(net.ListenUnix("unix", &net.UnixAddr{Name: "@pass", Net: "unix"}))
	done := make(chan string)
	go func() {
		c := must(l.AcceptUnix())
		oob := make([]byte, 100)
		_, n, _, _, err := c.ReadMsgUnix(make([]byte, 1), oob)
		must(n, err)
		msgs := must(syscall.ParseSocketControlMessage(oob[:n]))
		fds := must(syscall.ParseUnixRights(&msgs[0]))
		f := os.NewFile(uintptr(fds[0]), "passed")
		f.Seek(0, io.SeekStart)
		done <- string(must(io.ReadAll(f)))
	}()
	f := must(os.Create("passed"))
	fmt.Fprint(f, "by descriptor")
	c := must(net.DialUnix("unix", nil, &net.UnixAddr{Name: "@pass", Net: "unix"}))
	_, _, err := c.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(f.Fd())), nil)
	fmt.Println(err, <-done)
	raw := must(c.SyscallConn())
	raw.Control(func(fd uintptr) {
		cred := must(syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED))
		fmt.Println(int(cred.Pid) == os.Getpid(), cred.Uid)
	})
}

func many() {
	fmt.Println("## many connections")
	l := must(net.Listen("unix", "@many"))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	var wg sync.WaitGroup
	var good atomic.Int32
	for i := range 200 {
		wg.Go(func() {
			c, err := net.Dial("unix", "@many")
			for errors.Is(err, syscall.EAGAIN) {
				time.Sleep(time.Millisecond)
				c, err = net.Dial("unix", "@many")
			}
			if err != nil {
				return
			}
			defer c.Close()
			buf := make([]byte, 8)
			for round := range 10 {
				want := fmt.Sprintf("%03d-%04d", i, round)
				fmt.Fprint(c, want)
				if _, err := io.ReadFull(c, buf); err != nil || string(buf) != want {
					return
				}
			}
			good.Add(1)
		})
	}
	wg.Wait()
	fmt.Println(good.Load())
	l.Close()
}

func web() {
	fmt.Println("## http over a unix socket")
	l := must(net.Listen("unix", "http.sock"))
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := must(io.ReadAll(r.Body))
		fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
	})}
	go s.Serve(l)
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", "http.sock") },
	}}
	for i := range 3 {
		resp := must(client.Post(fmt.Sprintf("http://x/p%d", i), "text/plain", bytes.NewReader(make([]byte, 1000*i))))
		fmt.Println(resp.Status, string(must(io.ReadAll(resp.Body))))
		resp.Body.Close()
	}
	client.CloseIdleConnections()
}
