package server

import (
	"golang.org/x/sys/unix"

	"lazaret/gofer/proto"
)

// request is one message being handled, and the reply. A connection reuses it.
type request struct {
	s     *session
	d     proto.Decoder
	enc   proto.Encoder
	msize int
	fd    int     // to be sent with the reply and closed, or -1
	fds   []int32 // likewise, if there are several
	held  []*fid  // referenced until the reply is written
	dents []byte  // for getdents64; nil: not needed yet
}

// lockMode says how a handler needs the shape of the tree to stay.
type lockMode uint8

const (
	lockNone  lockMode = iota // the handler takes it itself, or resolves nothing
	lockRead                  // resolves names
	lockWrite                 // removes or moves names
)

type handler struct {
	run      func(r *request) error
	lock     lockMode
	extended bool
}

// handlers is indexed by message type; no entry: the message is not known. Filled by init
// because the handler of Txchannel starts a connection that reads the table.
var handlers [256]handler

func init() {
	handlers = [256]handler{
		proto.Tversion:     {run: (*request).version},
		proto.Tauth:        {run: (*request).auth},
		proto.Tattach:      {run: (*request).attach, lock: lockRead},
		proto.Tflush:       {run: (*request).flush},
		proto.Twalk:        {run: (*request).walk, lock: lockRead},
		proto.Tlopen:       {run: (*request).lopen, lock: lockRead},
		proto.Tlcreate:     {run: (*request).lcreate, lock: lockRead},
		proto.Tread:        {run: (*request).read},
		proto.Twrite:       {run: (*request).write},
		proto.Tclunk:       {run: (*request).clunk},
		proto.Tremove:      {run: (*request).remove, lock: lockWrite},
		proto.Tgetattr:     {run: (*request).getattr, lock: lockRead},
		proto.Tsetattr:     {run: (*request).setattr, lock: lockRead},
		proto.Treaddir:     {run: (*request).readdir, lock: lockRead},
		proto.Treadlink:    {run: (*request).readlink, lock: lockRead},
		proto.Tmkdir:       {run: (*request).mkdir, lock: lockRead},
		proto.Tsymlink:     {run: (*request).symlink, lock: lockRead},
		proto.Tmknod:       {run: (*request).mknod, lock: lockRead},
		proto.Tlink:        {run: (*request).link, lock: lockRead},
		proto.Trename:      {run: (*request).rename, lock: lockWrite},
		proto.Trenameat:    {run: (*request).renameat, lock: lockWrite},
		proto.Tunlinkat:    {run: (*request).unlinkat, lock: lockWrite},
		proto.Tfsync:       {run: (*request).fsync},
		proto.Tstatfs:      {run: (*request).statfs, lock: lockRead},
		proto.Txattrwalk:   {run: (*request).xattrwalk, lock: lockRead},
		proto.Txattrcreate: {run: (*request).xattrcreate},
		proto.Tlock:        {run: (*request).lock},
		proto.Tgetlock:     {run: (*request).getlock},

		proto.Txattach:     {run: (*request).xattach, lock: lockRead, extended: true},
		proto.Txwalk:       {run: (*request).xwalk, lock: lockRead, extended: true},
		proto.Txopen:       {run: (*request).xopen, lock: lockRead, extended: true},
		proto.Txcreate:     {run: (*request).xcreate, lock: lockRead, extended: true},
		proto.Txreaddir:    {run: (*request).xreaddir, lock: lockRead, extended: true},
		proto.Txgetattr:    {run: (*request).xgetattr, lock: lockRead, extended: true},
		proto.Txsetattr:    {run: (*request).xsetattr, lock: lockRead, extended: true},
		proto.Txmake:       {run: (*request).xmake, lock: lockRead, extended: true},
		proto.Txlink:       {run: (*request).xlink, lock: lockRead, extended: true},
		proto.Txrename:     {run: (*request).xrename, lock: lockWrite, extended: true},
		proto.Txgetx:       {run: (*request).xgetx, lock: lockRead, extended: true},
		proto.Txsetx:       {run: (*request).xsetx, lock: lockRead, extended: true},
		proto.Txlistx:      {run: (*request).xlistx, lock: lockRead, extended: true},
		proto.Txremovex:    {run: (*request).xremovex, lock: lockRead, extended: true},
		proto.Txfallocate:  {run: (*request).xfallocate, lock: lockRead, extended: true},
		proto.Txconnect:    {run: (*request).xconnect, lock: lockWrite, extended: true},
		proto.Txbind:       {run: (*request).xbind, lock: lockWrite, extended: true},
		proto.Txlisten:     {run: (*request).xlisten, extended: true},
		proto.Txaccept:     {run: (*request).xaccept, extended: true},
		proto.Txclunk:      {run: (*request).xclunk, extended: true},
		proto.Txchannel:    {run: (*request).xchannel, extended: true},
		proto.Txstopevents: {run: (*request).xstopevents, extended: true},
		proto.Txlist:       {run: (*request).xlist, lock: lockRead, extended: true},
		proto.Txopens:      {run: (*request).xopens, lock: lockRead, extended: true},
	}
}

// handle answers one message into r.enc and r.fd; false: there is no reply.
// TRUST: msg is the client's.
func (r *request) handle(msg []byte) bool {
	r.fd = -1
	typ, tag, body, ok := proto.Header(msg)
	r.enc.Begin(typ+1, tag)
	if !ok {
		r.fail(unix.EINVAL, proto.NoTag)
		return true
	}
	h := &handlers[typ]
	if h.run == nil || (h.extended && !r.extended()) {
		r.fail(unix.EOPNOTSUPP, tag)
		return true
	}
	r.d = proto.NewDecoder(body)
	switch h.lock {
	case lockRead:
		r.s.tree.RLock()
	case lockWrite:
		r.s.tree.Lock()
	}
	err := h.run(r)
	r.letGo()
	switch h.lock {
	case lockRead:
		r.s.tree.RUnlock()
	case lockWrite:
		r.s.tree.Unlock()
	}
	if typ == proto.Txclunk {
		return false
	}
	if err != nil {
		r.fail(err, tag)
	}
	return true
}

// fail makes the reply an Rlerror.
func (r *request) fail(err error, tag uint16) {
	r.closeFDs()
	r.enc.Begin(proto.Rlerror, tag)
	r.enc.U32(errnoOf(err))
}

// closeFDs closes the descriptors of the reply.
func (r *request) closeFDs() {
	if r.fd >= 0 {
		closeFDs(r.fd)
		r.fd = -1
	}
	for _, fd := range r.fds {
		closeFDs(int(fd))
	}
	r.fds = r.fds[:0]
}

func (r *request) extended() bool {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	return r.s.extended
}

// fid returns the file of a number, referenced until the request ends.
func (r *request) fid(num uint32) (*fid, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	f := r.s.fids[num]
	if f == nil {
		return nil, unix.EBADF
	}
	f.refs++
	r.held = append(r.held, f)
	return f, nil
}

func (r *request) letGo() {
	if len(r.held) == 0 {
		return
	}
	r.s.mu.Lock()
	for i, f := range r.held {
		r.s.putFIDLocked(f)
		r.held[i] = nil
	}
	r.s.mu.Unlock()
	r.held = r.held[:0]
}

// done checks that the message had exactly the fields read.
func (r *request) done() error {
	if !r.d.Done() {
		return unix.EINVAL
	}
	return nil
}

// name reads a path component.
func (r *request) name() (string, error) {
	s := r.d.String()
	if len(s) > proto.MaxName {
		return "", unix.ENAMETOOLONG
	}
	if !proto.ValidName(s) {
		return "", unix.EINVAL
	}
	return s, nil
}

// dirFID is fid for a directory.
func (r *request) dirFID(num uint32) (*fid, error) {
	f, err := r.fid(num)
	if err != nil {
		return nil, err
	}
	if f.node.id.typ != unix.S_IFDIR {
		return nil, unix.ENOTDIR
	}
	return f, nil
}

// changeDir is dirFID for a request that changes the directory.
func (r *request) changeDir(num uint32) (*fid, error) {
	f, err := r.dirFID(num)
	if err == nil && f.node.root.ReadOnly {
		return nil, unix.EROFS
	}
	return f, err
}

// changeFID is fid for a request that changes the file.
func (r *request) changeFID(num uint32) (*fid, error) {
	f, err := r.fid(num)
	if err == nil && f.node.root.ReadOnly {
		return nil, unix.EROFS
	}
	return f, err
}

// room returns how many bytes the reply may still grow.
func (r *request) room() int {
	m := r.msize
	if m == 0 {
		m = proto.MaxMessage
	}
	return m - r.enc.Len()
}
