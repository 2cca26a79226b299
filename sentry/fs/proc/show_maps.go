package proc

import (
	"strings"

	"lazaret/platform"
	"lazaret/sentry/fs/pseudo"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// nameColumn is where names begin in maps.
const nameColumn = 72

func mapsLine(b *pseudo.Buf, v *mm.VMAInfo) {
	at := len(b.B)
	b.Hex(uint64(v.Start), 8)
	b.Byte('-')
	b.Hex(uint64(v.End), 8)
	perms := v.Perms()
	b.Byte(' ')
	b.B = append(b.B, perms[:]...)
	b.Byte(' ')
	b.Hex(v.Off, 8)
	major, minor := v.Dev>>8&0xfff|v.Dev>>32&^0xfff, v.Dev&0xff|v.Dev>>12&0xffffff00
	b.Byte(' ')
	b.Hex(major, 2)
	b.Byte(':')
	b.Hex(minor, 2)
	b.Byte(' ')
	b.Uint(v.Ino)
	b.Byte(' ')
	if v.Name != "" {
		for len(b.B)-at < nameColumn {
			b.Byte(' ')
		}
		b.Byte(' ')
		b.Str(strings.ReplaceAll(v.Name, "\n", `\012`))
	}
	b.Byte('\n')
}

// showMaps is /proc/PID/maps. Pieces of the text begin at an address.
func showMaps(c *call, b *pseudo.Buf) error {
	if c.mm == nil {
		return nil
	}
	c.mm.Maps(func(v *mm.VMAInfo) {
		if b.Stopped() || uint64(v.Start) < b.Cursor {
			return
		}
		if b.Full() {
			b.Stop(uint64(v.Start))
			return
		}
		mapsLine(b, v)
	})
	return nil
}

// sums are the counts of smaps.
type sums struct {
	rss, pss, pssDirty, pssAnon, pssShared, sharedClean, sharedDirty, privateClean, privateDirty, anonymous, locked uint64
}

func (s *sums) add(v *mm.VMAInfo) {
	s.rss += v.Rss
	s.pss += v.Pss
	s.sharedClean += v.SharedClean
	s.sharedDirty += v.SharedDirty
	s.privateClean += v.PrivateClean
	s.privateDirty += v.PrivateDirty
	s.anonymous += v.Anonymous
	s.pssDirty += min(v.Pss, v.SharedDirty+v.PrivateDirty)
	switch {
	case v.Anonymous > 0:
		s.pssAnon += min(v.Pss, v.Anonymous)
	case v.Shared && v.Ino == 0:
		s.pssShared += v.Pss
	}
	if v.Locked {
		s.locked += v.Pss
	}
}

// write writes the lines that smaps and smaps_rollup share.
func (s *sums) write(b *pseudo.Buf, rollup bool) {
	kb := func(name string, n uint64) { b.Printf("%-16s%8d kB\n", name, n>>10) }
	kb("Rss:", s.rss)
	kb("Pss:", s.pss)
	kb("Pss_Dirty:", s.pssDirty)
	if rollup {
		kb("Pss_Anon:", s.pssAnon)
		kb("Pss_File:", s.pss-min(s.pss, s.pssAnon+s.pssShared))
		kb("Pss_Shmem:", s.pssShared)
	}
	kb("Shared_Clean:", s.sharedClean)
	kb("Shared_Dirty:", s.sharedDirty)
	kb("Private_Clean:", s.privateClean)
	kb("Private_Dirty:", s.privateDirty)
	kb("Referenced:", s.rss)
	kb("Anonymous:", s.anonymous)
	for _, name := range [...]string{"KSM:", "LazyFree:", "AnonHugePages:", "ShmemPmdMapped:", "FilePmdMapped:",
		"Shared_Hugetlb:", "Private_Hugetlb:", "Swap:", "SwapPss:"} {
		kb(name, 0)
	}
	kb("Locked:", s.locked)
}

// showSmaps is /proc/PID/smaps.
func showSmaps(c *call, b *pseudo.Buf) error {
	if c.mm == nil {
		return nil
	}
	c.mm.MapsDetail(func(v *mm.VMAInfo) {
		if b.Stopped() || uint64(v.Start) < b.Cursor {
			return
		}
		if b.Full() {
			b.Stop(uint64(v.Start))
			return
		}
		mapsLine(b, v)
		b.Printf("Size:           %8d kB\nKernelPageSize: %8d kB\nMMUPageSize:    %8d kB\n", v.Len()>>10, abi.PageSize>>10, abi.PageSize>>10)
		var s sums
		s.add(v)
		s.write(b, false)
		b.Str("THPeligible:           0\nVmFlags: ", vmFlags(v), "\n")
	})
	return nil
}

// showSmapsRollup is /proc/PID/smaps_rollup.
func showSmapsRollup(c *call, b *pseudo.Buf) error {
	if c.mm == nil {
		return abi.ESRCH
	}
	var s sums
	var first, last abi.Addr
	c.mm.MapsDetail(func(v *mm.VMAInfo) {
		if first == 0 {
			first = v.Start
		}
		last = v.End
		s.add(v)
	})
	mapsLine(b, &mm.VMAInfo{AddrRange: abi.AddrRange{Start: first, End: last}, Name: "[rollup]"})
	s.write(b, true)
	return nil
}

// vmFlags returns the two-letter flags of a mapping (proc_pid_smaps(5)).
func vmFlags(v *mm.VMAInfo) string {
	var b []byte
	for _, f := range [...]struct {
		on   bool
		name string
	}{
		{v.Prot&platform.Read != 0, "rd"}, {v.Prot&platform.Write != 0, "wr"}, {v.Prot&platform.Exec != 0, "ex"},
		{v.Shared, "sh"}, {v.MaxProt&platform.Read != 0, "mr"}, {v.MaxProt&platform.Write != 0, "mw"},
		{v.MaxProt&platform.Exec != 0, "me"}, {v.Shared, "ms"}, {v.GrowsDown, "gd"}, {v.Locked, "lo"},
		{v.Sequential, "sr"}, {v.Random, "rr"}, {v.DontFork, "dc"}, {v.NoReserve, "nr"}, {v.Ino == 0 && !v.Shared, "ac"},
		{v.WipeOnFork, "wf"}, {v.DontDump, "dd"}, {v.Huge, "hg"}, {v.NoHuge, "nh"},
	} {
		if f.on {
			b = append(append(b, f.name...), ' ')
		}
	}
	return string(b)
}
