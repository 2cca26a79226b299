package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"lazaret/syscalls/abi"
)

// maxConns bounds the requests in progress: each holds an fd, and a host thread or two
// while it blocks.
const maxConns = 512

// Lifecycle makes and ends containers.
type Lifecycle interface {
	// Create owns args.Files. On an error nothing of the container is left.
	Create(args *CreateArgs) error

	// Start runs the startContainer hooks and then the container's program.
	Start(id string) error

	// Destroy kills what runs in the container and frees it. Unknown ids are no error.
	Destroy(id string) error

	// Shutdown ends the sandbox; the answer may not reach the caller.
	Shutdown() error

	Pause(id string) error
	Resume(id string) error
}

// Processes acts on single processes.
type Processes interface {
	// Exec owns args.Files and returns the pid in the container's pid namespace. The
	// exit status is kept until Wait has fetched it or the container is destroyed.
	Exec(args *ExecArgs) (int32, error)

	// Wait blocks until the process has ended. ctx ends when the caller has gone.
	Wait(ctx context.Context, args *WaitArgs) (ExitStatus, error)

	Signal(args *SignalArgs) error
	Resize(args *ResizeArgs) error
	Processes(id string) ([]Process, error)
}

// Inspector shows and adjusts a live container.
type Inspector interface {
	Stats(id string) (*Stats, error)
	State(id string) (ContainerStatus, error)
	Update(args *UpdateArgs) error
	Attach(args *AttachArgs) error // owns args.Files
	Debug(args *DebugArgs) (string, error)
}

// Handler is what the Sentry implements. Methods are called from many goroutines at
// once. An error's text is shown to the person who ran runsc, as it is.
type Handler interface {
	Lifecycle
	Processes
	Inspector
}

// Server answers requests on a listening socket.
type Server struct {
	fd      int
	handler Handler

	slots chan struct{} // one for each connection in progress

	mu         sync.Mutex
	closed     bool
	unanswered int // requests that were read and have no answer yet
}

// NewServer returns a server on the listening unix socket fd, which must be in blocking
// mode and stays the caller's.
func NewServer(fd int, h Handler) *Server {
	return &Server{fd: fd, handler: h, slots: make(chan struct{}, maxConns)}
}

// Serve answers until the listening socket fails or Stop is called. It keeps one host
// thread in accept4.
func (s *Server) Serve() error {
	for {
		s.slots <- struct{}{}
		conn, _, err := unix.Accept4(s.fd, unix.SOCK_CLOEXEC)
		if err != nil {
			<-s.slots
			if err == unix.EINTR || err == unix.ECONNABORTED {
				continue
			}
			if s.stopped() {
				return nil
			}
			return fmt.Errorf("accept on the control socket: %w", err)
		}
		if s.stopped() {
			unix.Close(conn)
			return nil
		}
		go func() {
			defer func() { <-s.slots }()
			s.serveConn(conn)
		}()
	}
}

// Stop makes Serve return at the next connection. Requests in progress go on.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// Flush waits until every request that was read has its answer, for limit at most: the
// process is about to end, and who waits for that shall hear it from us.
func (s *Server) Flush(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		n := s.unanswered
		s.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

func (s *Server) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered += n
}

func (s *Server) stopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// serveConn handles the one request of a connection. A second goroutine watches for the
// peer's end; the descriptor is closed only after it has returned, so that its number
// cannot be used again under a blocked recvmsg.
func (s *Server) serveConn(fd int) {
	defer unix.Close(fd)
	body, fds, err := recvFrame(fd, maxRequest, true)
	if err != nil {
		closeFDs(fds)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer cancel()
		waitHangup(fd)
	}()
	s.count(1)
	resp := s.dispatch(ctx, body, fds)
	out, err := json.Marshal(resp)
	if err != nil || len(out) > maxResponse {
		out, _ = json.Marshal(&response{Error: "answer does not fit into a message"})
	}
	// An error means that the caller has gone: nobody is left to tell.
	_ = sendFrame(fd, out, nil)
	s.count(-1)
	<-gone
}

// waitHangup returns when the peer has closed. A well-behaved one sends nothing more.
func waitHangup(fd int) {
	var buf [64]byte
	for {
		n, _, _, _, err := unix.Recvmsg(fd, buf[:], nil, unix.MSG_CMSG_CLOEXEC)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
	}
}

func (s *Server) dispatch(ctx context.Context, body []byte, fds []int) *response {
	files := make([]*os.File, len(fds))
	for i, fd := range fds {
		files[i] = os.NewFile(uintptr(fd), "donated")
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		closeFiles(files)
		return &response{Error: "malformed request: " + err.Error()}
	}
	result, err := s.call(ctx, &req, files)
	if err != nil {
		resp := &response{Error: err.Error()}
		var errno abi.Errno
		var host unix.Errno
		switch {
		case errors.As(err, &host):
			resp.Errno = int(host)
		case errors.As(err, &errno):
			resp.Errno = int(errno)
			// The kernel inside has numbers' names; people want words.
			if text, ok := strings.CutSuffix(resp.Error, errno.Error()); ok {
				resp.Error = text + unix.Errno(errno).Error()
			}
		}
		return resp
	}
	if result == nil {
		return &response{}
	}
	raw, err := json.Marshal(result)
	if err != nil {
		return &response{Error: "encode answer: " + err.Error()}
	}
	return &response{Result: raw}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// call runs the handler's method. Only create, exec and attach take files.
func (s *Server) call(ctx context.Context, req *request, files []*os.File) (any, error) {
	h := s.handler
	switch req.Method {
	case methodCreate:
		args, err := decode[CreateArgs](req.Args)
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		if err := checkFiles(len(files), args.NumStdio, args.HasGofer); err != nil {
			closeFiles(files)
			return nil, err
		}
		args.Files = files
		return nil, h.Create(args)
	case methodExec:
		args, err := decode[ExecArgs](req.Args)
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		if err := checkFiles(len(files), args.NumStdio, false); err != nil {
			closeFiles(files)
			return nil, err
		}
		args.Files = files
		return result(h.Exec(args))
	}
	if req.Method == methodAttach {
		args, err := decode[AttachArgs](req.Args)
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		args.Files = files
		return nil, h.Attach(args)
	}
	closeFiles(files)
	switch req.Method {
	case methodWait:
		return withArgs(req.Args, func(args *WaitArgs) (any, error) { return s.wait(ctx, args) })
	case methodSignal:
		return withArgs(req.Args, func(args *SignalArgs) (any, error) { return nil, h.Signal(args) })
	case methodResize:
		return withArgs(req.Args, func(args *ResizeArgs) (any, error) { return nil, h.Resize(args) })
	case methodUpdate:
		return withArgs(req.Args, func(args *UpdateArgs) (any, error) { return nil, h.Update(args) })
	case methodDebug:
		return withArgs(req.Args, func(args *DebugArgs) (any, error) { return result(h.Debug(args)) })
	}
	return withArgs(req.Args, func(args *idArgs) (any, error) { return s.callID(req.Method, args.ID) })
}

// callID runs the methods that take an id only.
func (s *Server) callID(method, id string) (any, error) {
	h := s.handler
	switch method {
	case methodStart:
		return nil, h.Start(id)
	case methodDestroy:
		return nil, h.Destroy(id)
	case methodShutdown:
		return nil, h.Shutdown()
	case methodPause:
		return nil, h.Pause(id)
	case methodResume:
		return nil, h.Resume(id)
	case methodProcesses:
		return result(h.Processes(id))
	case methodStats:
		return result(h.Stats(id))
	case methodState:
		return result(h.State(id))
	}
	return nil, fmt.Errorf("unknown method %q", method)
}

func (s *Server) wait(ctx context.Context, args *WaitArgs) (any, error) {
	status, err := s.handler.Wait(ctx, args)
	if ctx.Err() != nil && args.KillOnHangup {
		_ = s.handler.Signal(&SignalArgs{ID: args.ID, PID: args.PID, Signal: int(unix.SIGKILL)})
	}
	return result(status, err)
}

func checkFiles(n, stdio int, gofer bool) error {
	want := stdio
	if gofer {
		want++
	}
	if stdio != 0 && stdio != 3 || n < want {
		return fmt.Errorf("%d files came with a request that says %d", n, want)
	}
	return nil
}

func result[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func withArgs[T any](raw json.RawMessage, f func(*T) (any, error)) (any, error) {
	args, err := decode[T](raw)
	if err != nil {
		return nil, err
	}
	return f(args)
}

func decode[T any](raw json.RawMessage) (*T, error) {
	args := new(T)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, args); err != nil {
			return nil, fmt.Errorf("malformed arguments: %w", err)
		}
	}
	return args, nil
}
