package gofer

import (
	"slices"

	"lazaret/gofer/proto"
	"lazaret/syscalls/abi"
)

// place is a name of a file.
type place struct {
	parent *directory
	name   string
}

// maxPlaces bounds the further names that an inode remembers.
const maxPlaces = 16

// offer gives the inode a way to be reached that was just found to work.
func (i *inode) offer(dir *directory, name string, file *proto.File) {
	i.mu.Lock()
	if p := (place{dir, name}); dir != nil && i.place != p {
		i.others = slices.DeleteFunc(i.others, func(o place) bool { return o == p })
		if i.parent != nil && i.attr.Nlink > 1 && i.typ != abi.S_IFDIR && len(i.others) < maxPlaces {
			i.others = append(i.others, i.place)
		}
		i.place = p
	}
	if i.file == nil && !i.dead {
		i.file, file = file, nil
	}
	i.mu.Unlock()
	if file != nil {
		file.Close()
	}
}

// leave notes that name in d does not lead to the file any more. The Gofer's file goes on
// for what has no other name; otherwise it is looked up again by that.
func (i *inode) leaveLocked(p place) (stray *proto.File) {
	i.others = slices.DeleteFunc(i.others, func(o place) bool { return o == p })
	if i.place != p || len(i.others) == 0 {
		return nil
	}
	last := len(i.others) - 1
	i.place, i.others = i.others[last], i.others[:last]
	stray, i.file = i.file, nil
	return stray
}

// moved notes a rename.
func (i *inode) moved(from, to place) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.trusted = false // ctime
	i.others = slices.DeleteFunc(i.others, func(o place) bool { return o == from || o == to })
	if i.place != from && i.attr.Nlink > 1 && len(i.others) < maxPlaces {
		i.others = append(i.others, to)
		return
	}
	i.place = to
}

// removed notes that one name of the file is gone.
func (i *inode) removed(p place) {
	i.fs.changed(i.key)
	i.mu.Lock()
	if i.attr.Nlink > 0 {
		i.attr.Nlink--
	}
	stray := i.leaveLocked(p)
	if i.file != nil {
		i.file.Removed()
	}
	if i.attr.Nlink == 0 || i.typ == abi.S_IFDIR {
		i.attr.Nlink, i.gone = 0, true
	} else {
		i.trusted = false
	}
	i.mu.Unlock()
	if stray != nil {
		stray.Removed()
		stray.Close()
	}
}

// route returns the nearest file that the Gofer knows for us, i's own or that of a
// directory above, and the inodes with their names that lead from it to i.
func (i *inode) route() (*proto.File, []*inode, []string, error) {
	var chain []*inode
	var path []string
	for c := i; ; {
		c.mu.Lock()
		f, parent, name, gone := c.file, c.parent, c.name, c.gone
		c.mu.Unlock()
		if f != nil {
			slices.Reverse(chain)
			slices.Reverse(path)
			return f, chain, path, nil
		}
		if parent == nil || gone {
			return nil, nil, nil, abi.ESTALE
		}
		chain, path = append(chain, c), append(path, name)
		c = &parent.inode
		if len(chain) == proto.MaxWalk {
			if _, err := c.getFile(); err != nil {
				return nil, nil, nil, err
			}
		}
	}
}

// strayed reports whether err means that f, of i or of a directory above, does not lead to
// its file any more, as when the host moved it. It is forgotten then: another way may.
func (i *inode) strayed(f *proto.File, err error) bool {
	if err != abi.ESTALE || !i.fs.shared || f == nil {
		return false
	}
	for c := i; ; {
		c.mu.Lock()
		own, parent := c.file == f, c.parent
		if own = own && parent != nil; own {
			c.file = nil
		}
		c.mu.Unlock()
		if own {
			f.Close()
			return true
		}
		if parent == nil {
			return false
		}
		c = &parent.inode
	}
}

// arrive gives the files that a walk along a route found to their inodes, and returns that
// of the last, which is i.
func (i *inode) arrive(chain []*inode, steps []proto.WalkStep, err error) (*proto.File, error) {
	for k, c := range chain {
		if k < len(steps) && keyOf(&steps[k].Attr) == c.key {
			continue
		}
		for _, s := range steps {
			s.File.Close()
		}
		if err == nil {
			err = abi.ESTALE
		}
		if err == abi.ESTALE || err == abi.ENOENT {
			c.misplaced()
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	for k, c := range chain {
		c.found(&steps[k], c == i)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.file == nil {
		return nil, abi.ESTALE
	}
	return i.file, nil
}

// misplaced notes that a walk did not find i where it was.
func (i *inode) misplaced() {
	i.mu.Lock()
	p := i.place
	i.mu.Unlock()
	if p.parent != nil && i.fs.shared {
		p.parent.suspect(p.name)
	}
}

// left notes that somebody else took the name p from the file.
func (i *inode) left(p place) {
	i.mu.Lock()
	stray := i.leaveLocked(p)
	if i.place == p {
		stray, i.file = i.file, nil
	}
	i.mu.Unlock()
	if stray != nil {
		stray.Close()
	}
}

// found stores what a walk found, unless there is a file already, or the inode was let go
// of and was not what the walk was for.
func (i *inode) found(s *proto.WalkStep, wanted bool) {
	i.mu.Lock()
	f := s.File
	if wanted {
		i.dead = false // the VFS found it again while it was released
	}
	if i.file == nil && !i.dead {
		i.file, f = f, nil
		if !i.fs.shared {
			i.setAttr(i.fs, &s.Attr)
		}
	}
	i.mu.Unlock()
	if f != nil {
		f.Close()
	}
}

// getFile returns the Gofer's file, walking to it if need be.
func (i *inode) getFile() (*proto.File, error) {
	for {
		start, chain, names, err := i.route()
		if err != nil || len(chain) == 0 {
			return start, err
		}
		steps, err := start.Walk(names)
		f, err := i.arrive(chain, steps, err)
		if !i.strayed(start, err) {
			return f, err
		}
	}
}
