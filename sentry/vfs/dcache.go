package vfs

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// DentryLimit is how many dentries a super block keeps beyond the pinned ones.
const DentryLimit = 1 << 17

// totalDentries is how many dentries all super blocks keep together, but for some that are
// in use: above it, who adds one makes its own cache smaller.
const totalDentries = 1 << 19

var dentries atomic.Int64 // hashed ones, of all super blocks

const minBuckets = 64

// staleLimit is the DentryLimit of file systems whose names go by themselves: what was
// below a name that went is found only by shrinking.
const staleLimit = 1 << 14

// dcache is the dentries of a super block by parent and name. Readers take no lock: the
// chains are only ever changed by replacing a next pointer, and a reader that misses
// asks again with the directory's lock held.
type dcache struct {
	table atomic.Pointer[dtable]

	mu    sync.Mutex // changes of chains
	count int
	hand  int // the bucket where the next shrink begins
	limit int // most dentries
}

type dtable struct {
	buckets []atomic.Pointer[dnode]
	mask    uint64
}

var hashSeed = maphash.MakeSeed()

func nameHash(parent *Dentry, name string) uint64 {
	h, l := bits.Mul64(maphash.String(hashSeed, name), parent.id*2+1)
	return h ^ l
}

func newTable(n int) *dtable {
	return &dtable{buckets: make([]atomic.Pointer[dnode], n), mask: uint64(n - 1)}
}

func (c *dcache) init() {
	c.table.Store(newTable(minBuckets))
	c.limit = DentryLimit
}

// lookup returns the dentry of name in parent, nil when nothing is remembered.
func (c *dcache) lookup(parent *Dentry, name string) *Dentry {
	h := nameHash(parent, name)
	t := c.table.Load()
	for n := t.buckets[h&t.mask].Load(); n != nil; n = n.next.Load() {
		if n.hash == h && n.parent == parent && n.name == name {
			n.d.setFlag(dUsed)
			return n.d
		}
	}
	return nil
}

// insert hashes d under its node. It fails when the parent has been dropped from the
// cache meanwhile: the walk begins again.
// Preconditions: the parent directory is locked.
func (c *dcache) insert(d *Dentry) bool {
	n := d.node.Load()
	n.hash = nameHash(n.parent, n.name)
	c.mu.Lock()
	if n.parent.refs.Load() < 0 {
		c.mu.Unlock()
		return false
	}
	c.linkLocked(n)
	want := 0
	switch {
	case c.count > c.limit:
		want = c.limit / 64
	case dentries.Load() > totalDentries:
		want = max(c.count/16, 2)
	}
	c.mu.Unlock()
	if want > 0 {
		c.shrink(want)
	}
	return true
}

func (c *dcache) linkLocked(n *dnode) {
	t := c.table.Load()
	if c.count > len(t.buckets) && len(t.buckets) < DentryLimit {
		t = c.growLocked(t)
	}
	b := &t.buckets[n.hash&t.mask]
	n.next.Store(b.Load())
	n.hashed.Store(true)
	b.Store(n)
	n.parent.children.Add(1)
	c.count++
	dentries.Add(1)
}

// growLocked makes the table larger. Readers of the old one see it as it was, so every
// dentry gets a new node: it is done seldom.
func (c *dcache) growLocked(old *dtable) *dtable {
	t := newTable(min(4*len(old.buckets), DentryLimit))
	for i := range old.buckets {
		for n := old.buckets[i].Load(); n != nil; n = n.next.Load() {
			m := &dnode{d: n.d, parent: n.parent, name: n.name, hash: n.hash}
			m.hashed.Store(true)
			b := &t.buckets[m.hash&t.mask]
			m.next.Store(b.Load())
			b.Store(m)
			n.d.node.Store(m)
		}
	}
	c.table.Store(t)
	return t
}

// unlinkLocked takes d out of its chain.
func (c *dcache) unlinkLocked(d *Dentry) bool {
	n := d.node.Load()
	if !n.hashed.Load() {
		return false
	}
	t := c.table.Load()
	p := &t.buckets[n.hash&t.mask]
	for p.Load() != n {
		p = &p.Load().next
	}
	p.Store(n.next.Load())
	n.hashed.Store(false)
	n.parent.children.Add(-1)
	c.count--
	dentries.Add(-1)
	return true
}

// drop unhashes d and releases it if nothing pins it.
func (c *dcache) drop(d *Dentry) {
	c.mu.Lock()
	c.unlinkLocked(d)
	c.mu.Unlock()
	if d.refs.Load() == 0 {
		d.kill()
	}
}

// move gives d a new parent and name. victim, if not nil, is what was there.
// Preconditions: both directories are locked.
func (c *dcache) move(d *Dentry, parent *Dentry, name string, victim *Dentry) {
	n := &dnode{d: d, parent: parent, name: name, hash: nameHash(parent, name)}
	c.mu.Lock()
	if victim != nil {
		c.unlinkLocked(victim)
	}
	c.unlinkLocked(d)
	d.node.Store(n)
	c.linkLocked(n)
	c.mu.Unlock()
	if victim != nil && victim.refs.Load() == 0 {
		victim.kill()
	}
}

// exchange swaps parents and names of a and b.
func (c *dcache) exchange(a, b *Dentry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	na, nb := a.node.Load(), b.node.Load()
	ma := &dnode{d: a, parent: nb.parent, name: nb.name, hash: nb.hash}
	mb := &dnode{d: b, parent: na.parent, name: na.name, hash: na.hash}
	ma.hash, mb.hash = nameHash(ma.parent, ma.name), nameHash(mb.parent, mb.name)
	c.unlinkLocked(a)
	c.unlinkLocked(b)
	a.node.Store(ma)
	b.node.Store(mb)
	c.linkLocked(ma)
	c.linkLocked(mb)
}

// shrink drops up to want dentries that nobody uses: those not looked up since the
// clock hand passed last. It passes at most twice over the table.
func (c *dcache) shrink(want int) {
	var dead []*Dentry
	c.mu.Lock()
	t := c.table.Load()
	for i := 0; i < 2*len(t.buckets)+2 && want > 0 && c.count > 0; i++ {
		c.hand = (c.hand + 1) & int(t.mask)
		for n := t.buckets[c.hand].Load(); n != nil; n = n.next.Load() {
			d := n.d
			if d.flags.Load()&dUsed != 0 {
				d.flags.And(^uint32(dUsed))
				continue
			}
			if d.flags.Load()&dWatched != 0 && !d.super.dead.Load() {
				continue
			}
			if d.refs.Load() != 0 || d.children.Load() != 0 || !d.refs.CompareAndSwap(0, deadRefs) {
				continue
			}
			c.unlinkLocked(d)
			dead = append(dead, d)
			want--
		}
	}
	c.mu.Unlock()
	for _, d := range dead {
		if d.inode != nil {
			d.super.putState(d.inode, d.state)
		}
	}
}

// clear drops everything that is not pinned.
func (c *dcache) clear() {
	for left := -1; ; {
		c.shrink(1 << 30)
		c.mu.Lock()
		n := c.count
		c.mu.Unlock()
		if n == 0 || n == left {
			return
		}
		left = n
	}
}
