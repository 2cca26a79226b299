package proto

import (
	"bytes"
	"strings"
)

// Version is the protocol with our extensions; BaseVersion is the standard part.
const (
	Version     = "9P2000.L.lazaret1"
	BaseVersion = "9P2000.L"
)

// Limits of the protocol.
const (
	MaxMessage = 128 << 10 // bytes of one message; fits a socket's default send buffer
	MinMessage = 4 << 10   // smallest msize accepted
	HeaderSize = 7
	MaxName    = 255  // bytes of one path component
	MaxWalk    = 64   // names of one Txwalk; Twalk has 16
	MaxTarget  = 4095 // bytes of a symbolic link's target
	MaxXattr   = 64 << 10
	MaxClunk   = 1024 // fids of one Txclunk
	MaxFDs     = 64   // descriptors of one message
	NoFID      = ^uint32(0)
	NoTag      = ^uint16(0)
)

// Standard message types. A reply's type is its request's plus one.
const (
	Rlerror      = 7
	Tstatfs      = 8
	Tlopen       = 12
	Tlcreate     = 14
	Tsymlink     = 16
	Tmknod       = 18
	Trename      = 20
	Treadlink    = 22
	Tgetattr     = 24
	Tsetattr     = 26
	Txattrwalk   = 30
	Txattrcreate = 32
	Treaddir     = 40
	Tfsync       = 50
	Tlock        = 52
	Tgetlock     = 54
	Tlink        = 70
	Tmkdir       = 72
	Trenameat    = 74
	Tunlinkat    = 76
	Tversion     = 100
	Tauth        = 102
	Tattach      = 104
	Tflush       = 108
	Twalk        = 110
	Tread        = 116
	Twrite       = 118
	Tclunk       = 120
	Tremove      = 122
)

// Extension message types.
const (
	Txwalk       = 200
	Txopen       = 202
	Txcreate     = 204
	Txreaddir    = 206
	Txgetattr    = 208
	Txsetattr    = 210
	Txmake       = 212
	Txlink       = 214
	Txrename     = 216
	Txgetx       = 218
	Txsetx       = 220
	Txlistx      = 222
	Txremovex    = 224
	Txfallocate  = 226
	Txconnect    = 228
	Txbind       = 230
	Txclunk      = 232
	Txchannel    = 234
	Txattach     = 236
	Txstopevents = 238
	Txlist       = 242
	Txopens      = 244
	Txlisten     = 246
	Txaccept     = 248
	Rxevents     = 241
)

// Kinds of channel that Txchannel asks for.
const (
	ChannelRequests = 0
	ChannelEvents   = 1
)

// Tails of Txwalk.
const (
	TailNone    = 0
	TailOpen    = 1
	TailReaddir = 2
	TailLookup  = 3
)

// SetMask says which fields of a SetAttr are meant; the values are 9P2000.L's.
type SetMask uint32

// Bits of a SetMask. A time without its Set bit becomes the present time.
const (
	SetMode     SetMask = 1
	SetUID      SetMask = 2
	SetGID      SetMask = 4
	SetSize     SetMask = 8
	SetAtime    SetMask = 0x10
	SetMtime    SetMask = 0x20
	SetCtime    SetMask = 0x40
	SetAtimeSet SetMask = 0x80
	SetMtimeSet SetMask = 0x100

	SetAll SetMask = 0x1ff
)

// ValidName reports whether name is a path component that may be looked up or made.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxName && name != "." && name != ".." &&
		strings.IndexByte(name, '/') < 0 && strings.IndexByte(name, 0) < 0
}

// ValidNameBytes is ValidName of a name in a buffer.
func ValidNameBytes(name []byte) bool {
	return len(name) > 0 && len(name) <= MaxName && string(name) != "." && string(name) != ".." &&
		bytes.IndexByte(name, '/') < 0 && bytes.IndexByte(name, 0) < 0
}
