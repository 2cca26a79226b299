package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// SocketName is the control socket's name in a sandbox's state directory.
const SocketName = "control.sock"

// DefaultTimeout is how long a Sentry may take to answer an ordinary request. Creating
// a container walks no application code; a busy machine still needs seconds.
const DefaultTimeout = 30 * time.Second

// ErrDead says that no Sentry answers: the sandbox has ended or hangs.
var ErrDead = errors.New("sandbox does not answer")

// RemoteError is an error that the Sentry reported. Its text is one printable line.
type RemoteError struct {
	Text  string
	errno unix.Errno
}

func (e *RemoteError) Error() string { return e.Text }

// Unwrap gives the errno that the Sentry named, so that errors.Is(err, unix.ESRCH) works.
func (e *RemoteError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// Client talks to one Sentry. It holds no connection, so it may be copied, kept and used
// from many goroutines.
type Client struct {
	// Dir is the state directory that holds the control socket.
	Dir string

	// Timeout replaces DefaultTimeout when positive.
	Timeout time.Duration
}

// Listen makes the control socket in dir and listens on it. The file is in blocking
// mode, ready to be donated.
func Listen(dir string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make control socket: %w", err)
	}
	err = viaDir(dir, func(path string) error {
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			return err
		}
		return unix.Chmod(path, 0o600)
	})
	if err == nil {
		err = unix.Listen(fd, 64)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make control socket in %s: %w", dir, err)
	}
	return os.NewFile(uintptr(fd), SocketName), nil
}

// viaDir calls f with a short path to the socket in dir: a socket address holds 108
// bytes, state directories can be longer.
func viaDir(dir string, f func(path string) error) error {
	dfd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dfd)
	return f(filepath.Join("/proc/self/fd", fmt.Sprint(dfd), SocketName))
}

// call sends one request and reads the answer into out (nil: none expected). A zero
// timeout means to wait as long as ctx lives.
func (c *Client) call(ctx context.Context, timeout time.Duration, method string, args any, files []*os.File, out any) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	raw, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("encode %s request: %w", method, err)
	}
	body, err := json.Marshal(&request{Method: method, Args: raw})
	if err != nil {
		return fmt.Errorf("encode %s request: %w", method, err)
	}
	if len(body) > maxRequest {
		return fmt.Errorf("%s request of %d bytes, limit is %d", method, len(body), maxRequest)
	}
	reply, err := c.exchange(ctx, body, files)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("%w (%s: %w)", ErrDead, method, err)
	}
	return decodeReply(method, reply, out)
}

// decodeReply judges an answer. TRUST: the Sentry wrote it.
func decodeReply(method string, reply []byte, out any) error {
	var resp response
	if err := json.Unmarshal(reply, &resp); err != nil {
		return fmt.Errorf("sandbox gave a malformed answer to %s", method)
	}
	if resp.Error != "" {
		return &RemoteError{Text: oneLine(resp.Error), errno: unix.Errno(max(resp.Errno, 0))}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(resp.Result, out); err != nil {
		return fmt.Errorf("sandbox gave a malformed answer to %s", method)
	}
	return nil
}

// connect returns a connected socket.
func (c *Client) connect() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// Connecting blocks only while the backlog of a stopped Sentry is full.
	tv := unix.NsecToTimeval(int64(5 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		unix.Close(fd)
		return -1, err
	}
	err = viaDir(c.Dir, func(path string) error {
		for {
			err := unix.Connect(fd, &unix.SockaddrUnix{Name: path})
			if err != unix.EINTR {
				return err
			}
		}
	})
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	return fd, nil
}

// exchange connects, sends and receives until done or ctx ends.
func (c *Client) exchange(ctx context.Context, body []byte, files []*os.File) ([]byte, error) {
	fd, err := c.connect()
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	// Shutdown wakes a blocked send or receive; the descriptor stays ours until the
	// watcher has returned.
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-ctx.Done():
			_ = unix.Shutdown(fd, unix.SHUT_RDWR)
		case <-done:
		}
	}()
	defer func() { close(done); <-watched }()
	if err := sendFrame(fd, body, files); err != nil {
		return nil, err
	}
	reply, fds, err := recvFrame(fd, maxResponse, false)
	closeFDs(fds)
	return reply, err
}

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

func (c *Client) do(method string, args any, files []*os.File, out any) error {
	return c.call(context.Background(), c.timeout(), method, args, files, out)
}
