package abi

// Stat is struct stat (stat(2)).
type Stat struct {
	Dev     uint64
	Ino     uint64
	Nlink   uint64
	Mode    uint32
	UID     uint32
	GID     uint32
	_       int32
	Rdev    uint64
	Size    int64
	Blksize int64
	Blocks  int64
	Atime   Timespec
	Mtime   Timespec
	Ctime   Timespec
	_       [3]int64
}

// SetNlink stores the number of links, whose width differs between architectures.
func (s *Stat) SetNlink(n uint32) { s.Nlink = uint64(n) }

// SetBlksize stores the preferred block size.
func (s *Stat) SetBlksize(n uint32) { s.Blksize = int64(n) }
