package platform

import "lazaret/syscalls/abi"

// Keeper is what a Platform also is when it keeps address spaces that have been released.
type Keeper interface {
	// KeptAddressSpace returns an empty address space that costs less than a Fork, or nil.
	KeptAddressSpace() AddressSpace
}

// Batcher is what an AddressSpace also is when many changes cost it little more than one.
type Batcher interface {
	// Do makes the changes in order, until one fails. Once a Map has failed, Release is the
	// only method that may be called.
	Do(ops []Op) error
}

// Op is one change of an address space: a Map, or a Protect if FD is below zero.
type Op struct {
	Range abi.AddrRange
	FD    int
	Off   int64
	Prot  Access
}

// Do makes changes of as in order, until one fails.
func Do(as AddressSpace, ops []Op) error {
	if b, ok := as.(Batcher); ok {
		return b.Do(ops)
	}
	for _, o := range ops {
		var err error
		if o.FD < 0 {
			err = as.Protect(o.Range, o.Prot)
		} else {
			err = as.Map(o.Range, o.FD, o.Off, o.Prot)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
