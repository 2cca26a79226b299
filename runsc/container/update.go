package container

import (
	"encoding/json"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"lazaret/runsc/control"
)

// Update changes the container's limits, on the host and in the Sentry. Preconditions: c
// is locked.
func (c *Container) Update(r *specs.LinuxResources) error {
	if c.Status() == Stopped {
		return errors.New("container not running")
	}
	merged := mergeResources(c.Spec, r)
	old := c.Spec.Linux.Resources
	c.Spec.Linux.Resources = merged
	if limits := hostResources(c); limits != nil && c.Cgroup != nil {
		if err := c.Cgroup.Set(limits); err != nil {
			c.Spec.Linux.Resources = old
			return err
		}
	}
	raw, err := json.Marshal(merged)
	if err != nil {
		return fmt.Errorf("encode resources: %w", err)
	}
	if err := c.Client().Update(&control.UpdateArgs{ID: c.ID, Resources: raw}); err != nil {
		return c.explain("update", err)
	}
	return c.save()
}

// mergeResources lays what is set in r over the container's own.
func mergeResources(s *specs.Spec, r *specs.LinuxResources) *specs.LinuxResources {
	if s.Linux == nil {
		s.Linux = &specs.Linux{}
	}
	out := specs.LinuxResources{}
	if s.Linux.Resources != nil {
		out = *s.Linux.Resources
	}
	// JSON's own rule, absent means unchanged, is the rule of update.
	raw, err := json.Marshal(r)
	if err != nil {
		return &out
	}
	base, err := json.Marshal(&out)
	if err != nil {
		return &out
	}
	merged := new(specs.LinuxResources)
	if json.Unmarshal(base, merged) != nil || json.Unmarshal(raw, merged) != nil {
		return &out
	}
	return merged
}
