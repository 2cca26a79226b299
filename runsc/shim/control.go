package shim

import (
	"context"

	eventsapi "github.com/containerd/containerd/api/events"
	taskapi "github.com/containerd/containerd/api/runtime/task/v2"
	"github.com/containerd/containerd/api/types/task"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

func (s *service) Kill(_ context.Context, req *taskapi.KillRequest) (*emptypb.Empty, error) {
	c, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	st, pid, _ := p.snapshot()
	switch {
	case st == task.Status_STOPPED:
		return nil, status.Error(codes.NotFound, errFinished.Error()+": not found")
	case pid == 0:
		return nil, status.Error(codes.FailedPrecondition, "process not created")
	}
	return &emptypb.Empty{}, fail(c.kill(p, req.Signal, req.All))
}

func (s *service) Pause(_ context.Context, req *taskapi.PauseRequest) (*emptypb.Empty, error) {
	return s.freeze(req.ID, "pause", task.Status_PAUSED, "/tasks/paused", &eventsapi.TaskPaused{ContainerID: req.ID})
}

func (s *service) Resume(_ context.Context, req *taskapi.ResumeRequest) (*emptypb.Empty, error) {
	return s.freeze(req.ID, "resume", task.Status_RUNNING, "/tasks/resumed", &eventsapi.TaskResumed{ContainerID: req.ID})
}

// freeze pauses or resumes.
func (s *service) freeze(id, verb string, to task.Status, topic string, event proto.Message) (*emptypb.Empty, error) {
	c, p, err := s.find(id, "")
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if st, _, _ := p.snapshot(); st == task.Status_CREATED {
		// As containerd's own shim has it; the runtime would.
		return nil, status.Errorf(codes.FailedPrecondition, "cannot %s task in created state", verb)
	}
	if err := c.rt.run(verb, id); err != nil {
		return nil, fail(err)
	}
	p.mu.Lock()
	if p.status != task.Status_STOPPED {
		p.status = to
	}
	p.mu.Unlock()
	s.events.publish(topic, event)
	return &emptypb.Empty{}, nil
}

func (s *service) ResizePty(_ context.Context, req *taskapi.ResizePtyRequest) (*emptypb.Empty, error) {
	c, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, fail(c.resize(p, req.Width, req.Height))
}

func (s *service) CloseIO(_ context.Context, req *taskapi.CloseIORequest) (*emptypb.Empty, error) {
	_, p, err := s.find(req.ID, req.ExecID)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	streams := p.streams
	p.mu.Unlock()
	if req.Stdin && streams != nil {
		streams.closeStdin()
	}
	return &emptypb.Empty{}, nil
}

func (s *service) Pids(_ context.Context, req *taskapi.PidsRequest) (*taskapi.PidsResponse, error) {
	c, p, err := s.find(req.ID, "")
	if err != nil {
		return nil, err
	}
	r := &taskapi.PidsResponse{}
	if st, pid, _ := p.snapshot(); st != task.Status_STOPPED {
		r.Processes = append(r.Processes, &task.ProcessInfo{Pid: uint32(pid)})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, x := range c.execs {
		st, pid, _ := x.snapshot()
		if st != task.Status_RUNNING {
			continue
		}
		info := &task.ProcessInfo{Pid: uint32(pid)}
		if info.Info, err = toAny(&eventsapi.TaskExecAdded{ContainerID: c.id, ExecID: id}); err != nil {
			return nil, fail(err)
		}
		r.Processes = append(r.Processes, info)
	}
	return r, nil
}

// Update takes an OCI LinuxResources object as JSON.
func (s *service) Update(_ context.Context, req *taskapi.UpdateTaskRequest) (*emptypb.Empty, error) {
	c, _, err := s.find(req.ID, "")
	if err != nil {
		return nil, err
	}
	if req.Resources == nil {
		return nil, status.Error(codes.InvalidArgument, "update: no resources are given")
	}
	in, err := input(req.Resources.Value)
	if err != nil {
		return nil, fail(err)
	}
	defer in.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := c.rt.command("update", "--resources", "-", c.id)
	cmd.Stdin = in
	return &emptypb.Empty{}, fail(c.rt.start(cmd))
}
