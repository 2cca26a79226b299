package shim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	eventsapi "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// service is the task API of one shim.
type service struct {
	config *config
	reaper *reaper
	events *publisher

	mu         sync.Mutex
	containers map[string]*container
	shutdown   bool
	done       chan struct{} // closed by shutdown
}

func newService(c *config, r *reaper, p *publisher) *service {
	return &service{config: c, reaper: r, events: p, containers: map[string]*container{}, done: make(chan struct{})}
}

var errFinished = errors.New("process already finished")

// fail gives an error of runsc's the code by which containerd tells them apart.
func fail(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	code := codes.Unknown
	text := err.Error()
	switch {
	case errors.Is(err, errFinished), errors.Is(err, unix.ESRCH), strings.Contains(text, "container not running"), strings.Contains(text, "container does not exist"):
		code = codes.NotFound
	case strings.Contains(text, "already exists"):
		code = codes.AlreadyExists
	case strings.Contains(text, "container not paused"):
		code = codes.FailedPrecondition
	}
	return status.Error(code, text)
}

// find returns a container and one of its processes, "" being init.
func (s *service) find(id, execID string) (*container, *process, error) {
	s.mu.Lock()
	c := s.containers[id]
	s.mu.Unlock()
	if c == nil {
		return nil, nil, status.Errorf(codes.NotFound, "container %s not created: not found", id)
	}
	if execID == "" {
		return c, c.init, nil
	}
	c.mu.Lock()
	p := c.execs[execID]
	c.mu.Unlock()
	if p == nil {
		return nil, nil, status.Errorf(codes.NotFound, "process %s: not found", execID)
	}
	return c, p, nil
}

func (s *service) Create(_ context.Context, req *taskapi.CreateTaskRequest) (*taskapi.CreateTaskResponse, error) {
	if req.Checkpoint != "" {
		return nil, status.Error(codes.Unimplemented, "restore from a checkpoint is not supported by runsc")
	}
	opts, err := readOptions(req.Options)
	if err == nil {
		err = opts.save(req.Bundle)
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	c := &container{
		id: req.ID, bundle: req.Bundle, s: s, execs: map[string]*process{},
		rt:   newCLI(s.reaper, opts, s.config.namespace, req.Bundle, s.config.debug),
		init: newProcess("", stdio{req.Stdin, req.Stdout, req.Stderr, req.Terminal}, nil),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.mu.Lock()
	if s.shutdown {
		s.mu.Unlock()
		return nil, status.Errorf(codes.Unavailable, "create container %s: the shim of its pod is ending", c.id)
	}
	if s.containers[c.id] != nil {
		s.mu.Unlock()
		return nil, status.Errorf(codes.AlreadyExists, "container %s: already exists", c.id)
	}
	s.containers[c.id] = c
	s.mu.Unlock()
	if err := c.create(req); err != nil {
		s.mu.Lock()
		delete(s.containers, c.id)
		s.mu.Unlock()
		return nil, fail(err)
	}
	_, pid, _ := c.init.snapshot()
	s.events.publish("/tasks/create", &eventsapi.TaskCreate{
		ContainerID: c.id, Bundle: c.bundle, Rootfs: req.Rootfs, Pid: uint32(pid),
		IO: &eventsapi.TaskIO{Stdin: req.Stdin, Stdout: req.Stdout, Stderr: req.Stderr, Terminal: req.Terminal},
	})
	return &taskapi.CreateTaskResponse{Pid: uint32(pid)}, nil
}

func (s *service) Start(_ context.Context, req *taskapi.StartRequest) (*taskapi.StartResponse, error) {
	c, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	pid, err := c.start(p)
	return &taskapi.StartResponse{Pid: uint32(pid)}, fail(err)
}

func (s *service) Exec(_ context.Context, req *taskapi.ExecProcessRequest) (*emptypb.Empty, error) {
	c, _, err := s.find(req.ID, "")
	if err != nil {
		return nil, err
	}
	if req.Spec == nil {
		return nil, status.Error(codes.InvalidArgument, "exec: no process is given")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.execs[req.ExecID] != nil || req.ExecID == "" {
		return nil, status.Errorf(codes.AlreadyExists, "id %s: already exists", req.ExecID)
	}
	c.execs[req.ExecID] = newProcess(req.ExecID, stdio{req.Stdin, req.Stdout, req.Stderr, req.Terminal}, req.Spec.Value)
	s.events.publish("/tasks/exec-added", &eventsapi.TaskExecAdded{ContainerID: c.id, ExecID: req.ExecID})
	return &emptypb.Empty{}, nil
}

func (s *service) Delete(_ context.Context, req *taskapi.DeleteRequest) (*taskapi.DeleteResponse, error) {
	c, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	st, pid, e := p.snapshot()
	if st == task.Status_RUNNING || st == task.Status_PAUSED {
		return nil, status.Errorf(codes.FailedPrecondition, "cannot delete a process that runs: %s %s", req.ID, req.ExecID)
	}
	if p != c.init {
		delete(c.execs, p.id)
	} else {
		if err := c.remove(); err != nil {
			return nil, fail(err)
		}
		if st == task.Status_CREATED {
			e = killed()
		}
		p.finishIO()
		p.end(e)
		s.mu.Lock()
		delete(s.containers, c.id)
		s.mu.Unlock()
		s.events.publish("/tasks/delete", &eventsapi.TaskDelete{
			ContainerID: c.id, Pid: uint32(pid), ExitStatus: uint32(e.status), ExitedAt: timestamppb.New(e.at),
		})
	}
	return &taskapi.DeleteResponse{Pid: uint32(pid), ExitStatus: uint32(e.status), ExitedAt: timestamppb.New(e.at)}, nil
}

func (s *service) State(_ context.Context, req *taskapi.StateRequest) (*taskapi.StateResponse, error) {
	c, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	st, pid, e := p.snapshot()
	r := &taskapi.StateResponse{
		ID: c.id, ExecID: p.id, Bundle: c.bundle, Pid: uint32(pid), Status: st, Stdin: p.names.stdin,
		Stdout: p.names.stdout, Stderr: p.names.stderr, Terminal: p.names.terminal,
	}
	if st == task.Status_STOPPED {
		r.ExitStatus, r.ExitedAt = uint32(e.status), timestamppb.New(e.at)
	}
	return r, nil
}

func (s *service) Wait(ctx context.Context, req *taskapi.WaitRequest) (*taskapi.WaitResponse, error) {
	_, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	_, _, e := p.snapshot()
	return &taskapi.WaitResponse{ExitStatus: uint32(e.status), ExitedAt: timestamppb.New(e.at)}, nil
}

func (s *service) Connect(_ context.Context, req *taskapi.ConnectRequest) (*taskapi.ConnectResponse, error) {
	r := &taskapi.ConnectResponse{ShimPid: uint32(os.Getpid()), Version: Version}
	if _, p, err := s.find(req.ID, ""); err == nil {
		_, pid, _ := p.snapshot()
		r.TaskPid = uint32(pid)
	}
	return r, nil
}

// Shutdown ends the shim when no container is left: it may serve others of the pod.
func (s *service) Shutdown(context.Context, *taskapi.ShutdownRequest) (*emptypb.Empty, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.containers) == 0 && !s.shutdown {
		s.shutdown = true
		// The answer goes out first.
		time.AfterFunc(50*time.Millisecond, func() { close(s.done) })
	}
	return &emptypb.Empty{}, nil
}

func (s *service) Checkpoint(context.Context, *taskapi.CheckpointTaskRequest) (*emptypb.Empty, error) {
	return nil, status.Error(codes.Unimplemented, fmt.Sprintf("checkpoint is not supported by runsc %s", Version))
}
