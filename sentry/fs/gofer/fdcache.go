package gofer

import "sync"

// maxIdle is how many files that nobody has open keep their descriptors.
const maxIdle = 2048

// fdCache bounds the descriptors of files that are not in use.
type fdCache struct {
	mu    sync.Mutex
	seq   uint64
	queue []idleFile // oldest first; entries whose seq is not their file's are void
	files map[*regular]uint64
}

type idleFile struct {
	r   *regular
	seq uint64
}

func newFDCache() *fdCache { return &fdCache{files: map[*regular]uint64{}} }

// idle notes that r has no users, and closes the descriptors of the files that have had
// none for longest.
func (c *fdCache) idle(r *regular) {
	c.mu.Lock()
	c.seq++
	c.files[r] = c.seq
	c.queue = append(c.queue, idleFile{r, c.seq})
	var victims []*regular
	for len(c.files) > maxIdle || len(c.queue) > 4*maxIdle {
		f := c.queue[0]
		c.queue = c.queue[1:]
		if c.files[f.r] == f.seq {
			delete(c.files, f.r)
			victims = append(victims, f.r)
		}
	}
	c.mu.Unlock()
	for _, v := range victims {
		v.fdMu.Lock()
		if v.users == 0 {
			v.closeLocked()
		}
		v.fdMu.Unlock()
	}
}

// forget drops r.
func (c *fdCache) forget(r *regular) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.files, r)
}
