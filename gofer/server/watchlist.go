package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// list watches the directory name in fd (fd itself if name is empty), though no node
// stands for it. When there are too many of those the oldest ends, which the client is told.
func (w *watcher) list(fd int, name string, id identity) bool {
	wa := w.add(fd, name, id)
	if wa == nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	wa.told = true
	if wa.listed {
		w.dropLocked(wa) // one is enough
		return true
	}
	wa.listed = true
	w.listed = append(w.listed, wa) // with the reference
	w.byID[id] = wa
	for len(w.listed) > w.maxListed {
		old := w.listed[0]
		w.listed = w.listed[1:]
		old.listed = false
		if w.byID[old.id] == old {
			delete(w.byID, old.id)
		}
		w.dropLocked(old)
	}
	return true
}

// lists reports whether the directory id is in listed. If it has just gone and another has
// its number, the client will be told of the end all the same.
func (w *watcher) lists(id identity) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	wa := w.byID[id]
	return wa != nil && !wa.dead && w.conn != nil
}

// covers reports whether changes in n, or of a single file n, are reported.
func (w *watcher) covers(n *node) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	wa := n.watched
	if wa == nil || wa.dead {
		wa = w.byID[n.id]
	}
	return wa != nil && !wa.dead && w.conn != nil
}

// watched arranges that changes of the directory that fd is open on, and in it, are
// reported, and returns the flags of attributes that are read from now on: of its own and of
// its entries, but for directories, of which only their own watches tell all.
func (l *lister) watched(fd int) (uint32, error) {
	if l.watch == nil {
		return l.flags, nil
	}
	if err := statAt(fd, "", &l.st); err != nil {
		return 0, err
	}
	if id := identityOf(&l.st); l.watch.lists(id) || l.watch.list(fd, "", id) {
		return l.flags | proto.FlagWatched, nil
	}
	if l.done > 0 {
		return 0, errFull // the client could not remember it
	}
	return l.flags &^ proto.FlagWatched, nil
}

// entryFlags are the attr flags of the entry name, which l.st describes, in a directory
// whose flags are dir.
func (l *lister) entryFlags(fd int, name []byte, dir uint32) uint32 {
	if l.watch == nil || l.st.Mode&unix.S_IFMT != unix.S_IFDIR || dir&proto.FlagWatched == 0 {
		return dir
	}
	if l.subdirs {
		id := identityOf(&l.st)
		if l.watch.lists(id) {
			return dir
		}
		if l.watch.list(fd, string(name), id) && statEntry(fd, name, &l.st) == nil && identityOf(&l.st) == id {
			return dir
		}
	}
	return dir &^ proto.FlagWatched
}
