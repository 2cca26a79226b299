package pseudo

import (
	"slices"
	"strings"

	"lazaret/sentry/vfs"
	"lazaret/syscalls/abi"
)

// Call is one reading or writing of a file.
type Call struct {
	Ctx  *vfs.Context
	File *vfs.File
	FS   any // the file system instance: Super.FS
	Node *Node
	Pos  int64 // of a write
}

// Entry is a file, symlink or directory of a static tree: one line in a table.
type Entry struct {
	// Path is the place, such as "sys/kernel/hostname". Directories on the way are made.
	Path string
	// Mode is the permission bits, 0 for 0444; with abi.S_IFDIR it is an empty directory.
	Mode uint32
	// Link is the target of a symlink.
	Link  string
	Show  func(c *Call, b *Buf) error
	Store func(c *Call, data []byte) error
	// Text is the content of a file that has no Show.
	Text string
	// Arg is for Show and Store.
	Arg  any
	Size uint64 // st_size
}

// Node is an Entry in its place in a tree. Nodes do not change.
type Node struct {
	Entry
	Name     string
	Index    uint64 // in the tree; the root is 0
	children []*Node
}

// Tree is a tree of nodes, shared by all instances of a file system.
type Tree struct {
	Root    *Node
	dirMode uint32
	count   uint64
}

// NewTree makes a tree whose directories have the permission bits dirMode.
func NewTree(dirMode uint32, tables ...[]Entry) *Tree {
	t := &Tree{Root: &Node{Entry: Entry{Mode: abi.S_IFDIR | dirMode}}, dirMode: dirMode}
	for _, table := range tables {
		for i := range table {
			t.add(&table[i])
		}
	}
	return t
}

func (t *Tree) add(e *Entry) {
	n := t.Root
	names := strings.Split(e.Path, "/")
	for _, name := range names[:len(names)-1] {
		n = t.child(n, name)
	}
	c := t.child(n, names[len(names)-1])
	c.Entry = *e
	switch {
	case e.Link != "":
		c.Mode, c.Size = abi.S_IFLNK|0o777, uint64(len(e.Link))
	case e.Mode&abi.S_IFDIR != 0:
	case e.Mode == 0:
		c.Mode = abi.S_IFREG | 0o444
	default:
		c.Mode |= abi.S_IFREG
	}
}

// child returns the child called name, making a directory if there is none.
func (t *Tree) child(n *Node, name string) *Node {
	if c := n.Child(name); c != nil {
		return c
	}
	t.count++
	c := &Node{Name: name, Index: t.count, Entry: Entry{Mode: abi.S_IFDIR | t.dirMode}}
	i, _ := slices.BinarySearchFunc(n.children, name, compareName)
	n.children = slices.Insert(n.children, i, c)
	return c
}

func compareName(n *Node, name string) int { return strings.Compare(n.Name, name) }

// Child returns the child called name, or nil.
func (n *Node) Child(name string) *Node {
	if i, ok := slices.BinarySearchFunc(n.children, name, compareName); ok {
		return n.children[i]
	}
	return nil
}

// Children returns the children, sorted by name.
func (n *Node) Children() []*Node { return n.children }

// Find returns the node at path below n, or nil.
func (n *Node) Find(path string) *Node {
	for name := range strings.SplitSeq(path, "/") {
		if n = n.Child(name); n == nil {
			return nil
		}
	}
	return n
}

// IsDir reports whether n is a directory.
func (n *Node) IsDir() bool { return n.Mode&abi.S_IFMT == abi.S_IFDIR }
