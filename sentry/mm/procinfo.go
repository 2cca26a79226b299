package mm

import (
	"lazaret/platform"
	"lazaret/syscalls/abi"
)

// Ranges are the places that /proc and prctl(PR_SET_MM) know: code, data, stack start,
// arguments, environment, and the auxiliary vector as bytes.
type Ranges struct {
	Code, Data, Args, Env abi.AddrRange
	StackStart            abi.Addr
	Auxv                  []byte // never changed once set
}

// SetRanges sets all of them.
func (m *MM) SetRanges(r Ranges) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ranges = r
}

// Ranges returns them.
func (m *MM) Ranges() Ranges {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.ranges
}

// SetArgRange sets where the arguments and the environment are.
func (m *MM) SetArgRange(args, env abi.AddrRange) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ranges.Args, m.ranges.Env = args, env
}

// SetAuxv sets the auxiliary vector, which is not changed after that.
func (m *MM) SetAuxv(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ranges.Auxv = b
}

// Mark is a property of an address space that a program asked for; a fork keeps it.
type Mark uint32

// Marks.
const (
	NoTHP            Mark = 1 << iota // PR_SET_THP_DISABLE, which execve(2) keeps too
	PrivateExpedited                  // membarrier(2) registrations
	SyncCore
)

// SetMark sets or clears a mark.
func (m *MM) SetMark(k Mark, on bool) {
	if on {
		m.marks.Or(uint32(k))
	} else {
		m.marks.And(^uint32(k))
	}
}

// HasMark reports whether a mark is set.
func (m *MM) HasMark(k Mark) bool { return m.marks.Load()&uint32(k) != 0 }

// Accessible reports whether a mapping at addr allows any access.
func (m *MM) Accessible(addr abi.Addr) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v := m.findLocked(addr)
	return v != nil && v.prot != 0
}

// MappedAbove reports whether there is a mapping at addr or above it.
func (m *MM) MappedAbove(addr abi.Addr) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.vmas) > 0 && m.vmas[len(m.vmas)-1].End > addr
}

// Resident reports whether there is a page at addr.
func (m *MM) Resident(addr abi.Addr) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l := m.pt.leaf(addr)
	return l != nil && l.ptes[leafIndex(addr)] != 0
}

// Stats are sizes for /proc/PID/status, statm and stat, in bytes.
type Stats struct {
	VmSize, VmPeak, VmLck, VmData, VmStk, VmExe, VmLib uint64
	VmRSS, VmHWM, RssAnon, RssFile, RssShmem           uint64
	VmPTE                                              uint64
	BrkStart, Brk                                      abi.Addr
	Mappings                                           int
}

// Stats returns the sizes.
func (m *MM) Stats() Stats {
	const shift = abi.PageShift
	size := func(n int64) uint64 { return uint64(max(n, 0)) << shift }
	s := Stats{
		VmRSS: size(m.rss.total()), VmHWM: size(m.rss.peak.Load()),
		RssAnon: size(m.rss.anon.Load()), RssFile: size(m.rss.file.Load()),
		RssShmem: size(m.rss.shmem.Load()),
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	s.VmSize, s.VmPeak, s.VmLck, s.VmData = m.total, m.totalPeak, m.locked, m.data
	s.BrkStart, s.Brk, s.Mappings = m.brkStart, m.brk, len(m.vmas)
	for _, v := range m.vmas {
		switch {
		case v.flags&vmGrowsDown != 0:
			s.VmStk += v.Len()
		case v.prot&(platform.Write|platform.Exec) == platform.Exec && !v.shared():
			if v.Overlaps(m.ranges.Code) {
				s.VmExe += v.Len()
			} else {
				s.VmLib += v.Len()
			}
		}
	}
	for _, r := range m.pt.all() {
		s.VmPTE += abi.PageSize
		for i := range r.leafs {
			if r.leafs[i].Load() != nil {
				s.VmPTE += abi.PageSize
			}
		}
	}
	return s
}

// VMAInfo describes a mapping for /proc/PID/maps and smaps.
type VMAInfo struct {
	abi.AddrRange
	Prot, MaxProt platform.Access
	Shared        bool
	Off           uint64 // in the file
	Dev, Ino      uint64
	Name          string // path, "[heap]", or "" for anonymous memory
	Locked        bool
	GrowsDown     bool
	NoReserve     bool
	DontFork      bool
	WipeOnFork    bool
	DontDump      bool
	Huge, NoHuge  bool
	Sequential    bool
	Random        bool

	// Bytes, by state; filled by MapsDetail only.
	Rss, Anonymous, SharedClean, SharedDirty, PrivateClean, PrivateDirty, Pss uint64
}

// Perms is the mapping's protection as /proc/PID/maps shows it: "r-xp".
func (v *VMAInfo) Perms() [4]byte {
	perms := [4]byte{'-', '-', '-', 'p'}
	for i, a := range [...]platform.Access{platform.Read, platform.Write, platform.Exec} {
		if v.Prot&a != 0 {
			perms[i] = "rwx"[i]
		}
	}
	if v.Shared {
		perms[3] = 's'
	}
	return perms
}

// Maps calls f for each mapping in address order, with no lock held.
func (m *MM) Maps(f func(*VMAInfo)) { m.maps(f, false) }

// MapsDetail is Maps with the counts of resident pages (smaps).
func (m *MM) MapsDetail(f func(*VMAInfo)) { m.maps(f, true) }

func (m *MM) maps(f func(*VMAInfo), detail bool) {
	if detail {
		m.mu.Lock() // nobody else may change the page table that is counted
	} else {
		m.mu.RLock()
	}
	infos := make([]VMAInfo, len(m.vmas))
	files := make([]FileRef, len(m.vmas))
	for i, v := range m.vmas {
		infos[i] = m.infoLocked(v)
		if files[i] = v.file; v.file != nil {
			v.file.IncRef()
		}
		if detail {
			m.detailLocked(v, &infos[i])
		}
	}
	if detail {
		m.mu.Unlock()
	} else {
		m.mu.RUnlock()
	}
	// Names are made without the lock: that walks dentries.
	for i := range infos {
		if r := files[i]; r != nil {
			infos[i].Dev, infos[i].Ino = r.MapIDs()
			infos[i].Name = r.MapName()
			r.DecRef()
		}
		f(&infos[i])
	}
}

func (m *MM) infoLocked(v *vma) VMAInfo {
	has := func(f vmaFlags) bool { return v.flags&f != 0 }
	i := VMAInfo{
		AddrRange: v.AddrRange, Prot: v.prot, MaxProt: v.maxProt, Shared: v.shared(), Name: v.name,
		Locked: has(vmLocked), GrowsDown: has(vmGrowsDown), NoReserve: has(vmNoReserve),
		DontFork: has(vmDontFork), WipeOnFork: has(vmWipeOnFork), DontDump: has(vmDontDump),
		Huge: has(vmHuge), NoHuge: has(vmNoHuge), Sequential: has(vmSeq), Random: has(vmRand),
	}
	switch {
	case v.object != nil:
		i.Off = v.off
		if v.file == nil && v.name == "" {
			i.Name = "/dev/zero (deleted)"
		}
	case v.name != "":
	case v.Start < m.brk && m.brkStart < v.End:
		i.Name = "[heap]"
	case v.Contains(m.ranges.StackStart):
		i.Name = "[stack]"
	}
	return i
}

// detailLocked counts the pages of v.
func (m *MM) detailLocked(v *vma, i *VMAInfo) {
	m.pt.runs(v.AddrRange, func(u run) {
		n := u.Len()
		i.Rss += n
		if u.p&pteHost != 0 {
			i.PrivateClean += n
			i.Pss += n
			return
		}
		if !v.shared() {
			i.Anonymous += n
		}
		for o := uint64(0); o < n; o += abi.PageSize {
			refs := uint64(max(m.file.Refs(u.p.off()+int64(o)), 1))
			i.Pss += abi.PageSize / refs
			if refs > 1 {
				i.SharedDirty += abi.PageSize
			} else {
				i.PrivateDirty += abi.PageSize
			}
		}
	})
}
