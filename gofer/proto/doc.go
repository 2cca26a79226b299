// Package proto is what the Sentry and the gofer say to each other: 9P2000.L plus
// extensions, and the client that the Sentry uses. Package server is the other end.
//
// # Transport
//
// One Unix socketpair a gofer, SOCK_SEQPACKET for our client (one packet is one message,
// never more than MaxMessage bytes), or SOCK_STREAM for any plain 9P2000.L client. A
// connection handles its requests one after the other. The client asks for more
// connections ("channels", Txchannel) when several threads want to talk at once; all of
// them share one table of fids. A thread owns a channel from request to reply, so it
// receives its own answer itself: no other thread needs waking, which would cost more
// than the request (60 us on a virtual machine). Both ends spin shortly before they sleep,
// and sleep before they tell Go's scheduler: a client shortly, a server some milliseconds.
//
// # Messages
//
// Every message is size[4] type[1] tag[2] body, little-endian, strings are len[2] bytes.
// The standard messages are those of 9P2000.L (diod's protocol.md); Tauth, Tflush, Tlock
// and Tgetlock get the plain answers of a server without users and locks. Names ".", "..",
// empty, with '/' or NUL or above 255 bytes are refused with EINVAL (ENAMETOOLONG).
// Standard messages are enough to use a gofer; p9's client is tested against the server.
// p9 keeps its message types to itself and cannot carry file descriptors, so the codec
// here is our own.
//
// Extensions are allowed once Tversion agreed on Version. attr is AttrSize bytes (see
// Attr), flags are those of open(2) on this architecture, errno is a Linux number:
//
//	Txattach  fid[4] aname[s]                              -> attr
//	Txwalk    fid[4] tail[1] flags[4] max[4] n[2] n*(newfid[4] name[s])
//	          -> errno[4] dirflags[4] n[2] n*attr tailerrno[4] tail
//	Txopen    fid[4] flags[4]                              -> attr (+fd)
//	Txcreate  dfid[4] newfid[4] name[s] flags[4] mode[4] uid[4] gid[4] -> attr (+fd)
//	Txreaddir fid[4] offset[8] max[4]                      -> entries
//	Txgetattr fid[4]                                       -> attr
//	Txsetattr fid[4] valid[4] mode[4] uid[4] gid[4] size[8] atime[12] mtime[12] -> attr
//	Txmake    dfid[4] newfid[4] name[s] mode[4] uid[4] gid[4] major[4] minor[4] target[s] -> attr
//	Txlink    dfid[4] fid[4] name[s]                       -> attr
//	Txrename  dfid[4] name[s] newdfid[4] newname[s] flags[4] -> empty
//	Txgetx    fid[4] name[s] size[4]                       -> size[4] n[4] data
//	Txsetx    fid[4] name[s] flags[4] n[4] data            -> empty
//	Txlistx   fid[4] size[4]                               -> size[4] n[4] data
//	Txremovex fid[4] name[s]                               -> empty
//	Txfallocate fid[4] mode[4] offset[8] length[8]         -> attr
//	Txconnect fid[4] socktype[4]                           -> empty (+fd)
//	Txbind    dfid[4] newfid[4] name[s] socktype[4] mode[4] uid[4] gid[4] -> attr (+fd)
//	Txlisten  fid[4] backlog[4]                            -> empty
//	Txaccept  fid[4]                                       -> empty (+fd)
//	Txchannel kind[4]                                      -> empty (+fd)
//	Txclunk   n[4] n*fid[4]                                no reply
//	Txstopevents                                           -> empty
//	Txlist    fid[4] flags[4] offset[8] dirs[2] np[2] np*name[s] n[2] n*name[s]
//	          -> n[2] n*(attr listing)
//	Txopens   fid[4] n[2] n*(np[2] np*name[s] nn[2] nn*name[s]) -> n[2] n*attr (+n fds)
//	Rxevents  n[2] n*(mask[4] cookie[4] devmajor[4] devminor[4] ino[8] name[s])
//
// "+fd" is one SCM_RIGHTS descriptor with the reply's packet: of a regular file always
// (the Sentry reads, writes and maps it without the gofer), of a FIFO or a connected
// socket if the root allows them, of a directory never.
//
// Txbind's fid keeps the bound socket, which Txlisten and Txaccept are for, until it is clunked or
// listens with a backlog of StopListening.
//
// Txwalk resolves its names one by one and answers with the attributes of every step; it
// stops after a symbolic link or another non-directory (errno 0, fewer steps than names;
// the links are the Sentry's to follow) and before a missing name (errno). Each step has
// its own newfid. dirflags are the Attr flags of the files (no directories) in the one
// where the last name was looked up, whether it was there or not. If all names were resolved the tail is done too: TailOpen opens the last
// file with flags (tail is empty, +fd), TailReaddir lists the last directory (tail is
// entries, at most max), TailLookup gives what is mostly wanted next: of a regular file a
// descriptor for reading (tail is empty, +fd), of a symbolic link its target (tail is
// target[s]).
//
// entries is next[8] eof[1] n[4] n*(ino[8] next[8] type[1] errno[4] attr name[s]), errno
// being that of stat on the entry; "." and ".." are left out.
//
// Txlist lists directories of the one that the np names lead to from fid, without making
// fids: the first of the n names from offset on (no name: that directory itself), then, as
// far as the server likes, what is in it, the others and what is in those, each directory
// before those in it, with attr its own. There are at most dirs, and all but the first are complete. listing
// is next[8] eof[1] n[4] nattr[4] n*(ino[8] type[1] has[1] len[1] name [attr] [target[s]]):
// directories have an attr (bit 0 of has), and all entries if flags has ListAttrs, symbolic
// links then a target (bit 1). In shared roots each directory is watched before it is read, and
// with ListWatch those in it are too; one that cannot be watched does not come along.
//
// Txopens opens for reading, without making fids, regular files: each nn of the directory
// that np names lead to. The first must be there; of the others those come along that could
// be opened, at most MaxFDs in all.
//
// # Host changes
//
// In a shared root the gofer watches each directory that was listed or walked through,
// before it reads it, and sends Rxevents on the event channel: the directory's device and
// inode, inotify's mask and cookie and the name. FlagWatched in an Attr says that changes
// of the file by name in its directory are reported, or that nobody else can change
// it; without it the client must not trust what it remembers. IN_Q_OVERFLOW says that
// events were lost, IN_IGNORED without a name that a directory which Txlist listed is not
// watched any more (there are only so many). The Sentry's own changes are reported too.
//
// # Trust
//
// The client treats replies as hostile: lengths, counts, names, file types and the type
// of every donated descriptor are checked; a reply that breaks the rules ends the
// connection, and every later call gives EIO.
//
// # Host calls of the client
//
//	sendmsg, recvmsg  requests and replies (MSG_NOSIGNAL; MSG_DONTWAIT, MSG_CMSG_CLOEXEC)
//	fstat             the type of a donated descriptor
//	close             channels, and descriptors that should not have come
//	ppoll             wait for the reply
//
// # Lock order
//
// Client.mu only; it is never held across a system call.
package proto
