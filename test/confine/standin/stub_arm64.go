package main

import "errors"

// stubs need the ptrace platform, which this architecture does not have.
type stubs struct{}

func newStubs() (*stubs, error) { return nil, errors.New("no ptrace platform") }

func (s *stubs) exercise() error { return nil }
