package ipc

import "lazaret/sentry/auth"

// Encode is struct semid64_ds.
func (s *SemStat) Encode(ns *auth.UserNamespace) []byte {
	b := s.Perm.encode(ns)
	b = u64(u64(b, uint64(s.Otime)), uint64(s.Ctime))
	return u64(u64(u64(b, uint64(s.Sems)), 0), 0)
}
