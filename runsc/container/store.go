package container

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Errors with runc's words, which engines look for.
var (
	ErrNotExist  = errors.New("container does not exist")
	ErrExist     = errors.New("container with given ID already exists")
	ErrInvalidID = errors.New("invalid container ID format")
)

var idPattern = regexp.MustCompile(`^[\w+\-.]+$`)

// maxID keeps ROOT/ID, and what is made beside it, a valid file name.
const maxID = 200

// CheckID checks a container's name.
func CheckID(id string) error {
	if !idPattern.MatchString(id) || id == "." || id == ".." {
		return ErrInvalidID
	}
	if len(id) > maxID {
		return fmt.Errorf("%w: longer than %d characters", ErrInvalidID, maxID)
	}
	return nil
}

// tempPrefix begins the names of directories that are being made or removed; no id does.
const tempPrefix = "~"

// tempAge is how long such a directory may lie there before it is taken for garbage:
// between mkdir and flock its maker holds nothing.
const tempAge = 10 * time.Second

// Store is a --root directory.
type Store struct {
	Root string
}

// Open makes the root directory if needed.
func Open(root string) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("--root %q: %w", root, err)
	}
	return &Store{Root: abs}, nil
}

func (s *Store) dir(id string) string { return filepath.Join(s.Root, id) }

// Load returns a container without locking it.
func (s *Store) Load(id string) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	st, err := loadState(s.dir(id))
	if err != nil {
		return nil, err
	}
	return &Container{State: *st, store: s, dir: s.dir(id)}, nil
}

// LoadLocked returns a container that no other runsc changes until Unlock.
func (s *Store) LoadLocked(id string) (*Container, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	lock, err := lockDir(s.dir(id))
	if err != nil {
		return nil, err
	}
	c, err := s.Load(id)
	if err != nil {
		lock.Close()
		return nil, err
	}
	c.lock = lock
	return c, nil
}

// lockTimeout is how long a command waits for another one: hooks of create can take
// seconds.
const lockTimeout = 30 * time.Second

// lockDir takes flock on a directory that is still at its path.
func lockDir(dir string) (*os.File, error) {
	deadline := time.Now().Add(lockTimeout)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNotExist
		}
		if err != nil {
			return nil, fmt.Errorf("lock container: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && samePath(f, dir) {
			return f, nil
		}
		f.Close()
		if err != nil && err != unix.EWOULDBLOCK && err != unix.EINTR {
			return nil, fmt.Errorf("lock container: %w", err)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("container %s is busy: another runsc has been changing it for %v", filepath.Base(dir), lockTimeout)
		}
		time.Sleep(wait)
	}
}

// samePath says whether the open directory is what the path names now.
func samePath(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

// newDir makes a container's directory, locked, with st in it.
func (s *Store) newDir(st *State) (dir string, lock *os.File, err error) {
	if err := os.MkdirAll(s.Root, 0o700); err != nil {
		return "", nil, err
	}
	if _, err := os.Lstat(s.dir(st.ID)); err == nil {
		if err := s.reclaim(st.ID); err != nil {
			return "", nil, err
		}
	}
	tmp := filepath.Join(s.Root, tempPrefix+"new-"+rand.Text())
	if err := os.Mkdir(tmp, 0o711); err != nil {
		return "", nil, fmt.Errorf("make state directory: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(tmp)
			if lock != nil {
				lock.Close()
			}
		}
	}()
	if lock, err = lockDir(tmp); err != nil {
		return "", nil, err
	}
	if err = st.save(tmp); err != nil {
		return "", lock, err
	}
	dir = s.dir(st.ID)
	err = unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, dir, unix.RENAME_NOREPLACE)
	switch err {
	case nil:
		return dir, lock, nil
	case unix.EEXIST:
		err = ErrExist
	case unix.EINVAL, unix.ENOSYS:
		// A file system without RENAME_NOREPLACE: rename refuses a directory with
		// files in it, and ours always has some.
		if err = unix.Rename(tmp, dir); err == nil {
			return dir, lock, nil
		}
		if err == unix.ENOTEMPTY || err == unix.EEXIST {
			err = ErrExist
		}
	}
	return "", lock, err
}

// reclaim removes a directory without a state, which is not a container of ours.
func (s *Store) reclaim(id string) error {
	if _, err := loadState(s.dir(id)); !errors.Is(err, ErrNotExist) {
		return ErrExist
	}
	if err := unix.Rmdir(s.dir(id)); err != nil {
		return ErrExist
	}
	return nil
}

// removeDir makes a container disappear in one step.
func (s *Store) removeDir(dir string) error {
	tmp := filepath.Join(s.Root, tempPrefix+"del-"+rand.Text())
	if err := os.Rename(dir, tmp); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("remove container: %w", err)
	}
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return nil
}

// List returns every container, by name. Damaged ones come as errors, for a warning.
func (s *Store) List() ([]*Container, []error) {
	entries, err := os.ReadDir(s.Root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, []error{fmt.Errorf("list containers: %w", err)}
	}
	var list []*Container
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			s.collect(e)
			continue
		}
		if !e.IsDir() {
			continue
		}
		c, err := s.Load(e.Name())
		if err != nil {
			errs = append(errs, fmt.Errorf("load container %s: %w", e.Name(), err))
			continue
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *Container) int { return strings.Compare(a.ID, b.ID) })
	return list, errs
}

// collect removes what a killed create or delete left.
func (s *Store) collect(e fs.DirEntry) {
	info, err := e.Info()
	if err != nil || time.Since(info.ModTime()) < tempAge {
		return
	}
	dir := s.dir(e.Name())
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.RemoveAll(dir)
	}
}
