package syscalls

import (
	"lazaret/sentry/kernel"
	"lazaret/sentry/mm"
	"lazaret/syscalls/abi"
)

// policyRows are memory policies and protection keys of a machine with one node and no
// keys.
var policyRows = []Row{
	partial(abi.SYS_MBIND, "mbind", Mbind, "one node: policies are checked and forgotten", Hex, Hex, Int, Buf, Int, Hex),
	partial(abi.SYS_SET_MEMPOLICY, "set_mempolicy", SetMempolicy, "one node: policies are checked and forgotten", Int, Buf, Int),
	partial(abi.SYS_GET_MEMPOLICY, "get_mempolicy", GetMempolicy, "one node, always the default policy", Buf, Buf, Int, Hex, Hex),
	partial(abi.SYS_MIGRATE_PAGES, "migrate_pages", MigratePages, "one node: nothing moves", Int, Int, Buf, Buf),
	partial(abi.SYS_MOVE_PAGES, "move_pages", MovePages, "one node: nothing moves", Int, Int, Buf, Buf, Buf, Hex),
	partial(abi.SYS_SET_MEMPOLICY_HOME_NODE, "set_mempolicy_home_node", SetMempolicyHomeNode, "one node: checked and forgotten", Hex, Hex, Int, Hex),
	partial(abi.SYS_PKEY_MPROTECT, "pkey_mprotect", PkeyMprotect, "only without a key (-1)", Hex, Hex, Hex, Int),
	absent(abi.SYS_PKEY_ALLOC, "pkey_alloc", abi.ENOSPC, "no protection keys, as on a processor without them"),
	absent(abi.SYS_PKEY_FREE, "pkey_free", abi.EINVAL, "no protection keys, as on a processor without them"),
}

// maxNodes bounds the node masks that are read, in bits.
const maxNodes = 8 * abi.PageSize

// copyNodes reads a node mask of n bits (of which Linux uses n-1): whether node 0 is in
// it, EINVAL if another is.
func copyNodes(t *kernel.Task, addr abi.Addr, n uint64) (bool, error) {
	if addr == 0 || n <= 1 {
		return false, nil
	}
	if n--; n > maxNodes {
		return false, abi.EINVAL
	}
	mask := make([]uint64, (n+63)/64)
	if err := t.MM().CopyIn(addr, abi.SliceBytes(mask)); err != nil {
		return false, err
	}
	if r := n % 64; r != 0 {
		mask[len(mask)-1] &= 1<<r - 1
	}
	for i, w := range mask {
		if i > 0 && w != 0 || i == 0 && w&^1 != 0 {
			return false, abi.EINVAL
		}
	}
	return mask[0] != 0, nil
}

// checkPolicy checks a policy and its nodes.
func checkPolicy(t *kernel.Task, mode uint64, addr abi.Addr, n uint64) error {
	const flags = abi.MPOL_F_STATIC_NODES | abi.MPOL_F_RELATIVE_NODES | abi.MPOL_F_NUMA_BALANCING
	const exclusive = abi.MPOL_F_STATIC_NODES | abi.MPOL_F_RELATIVE_NODES
	if mode&exclusive == exclusive || mode&^flags >= abi.MPOL_MAX {
		return abi.EINVAL
	}
	some, err := copyNodes(t, addr, n)
	if err != nil {
		return err
	}
	switch mode &^ flags {
	case abi.MPOL_DEFAULT, abi.MPOL_LOCAL:
		return inval(some)
	case abi.MPOL_PREFERRED:
		return nil
	}
	return inval(!some)
}

// Mbind is mbind(2).
func Mbind(t *kernel.Task, a *abi.Args) (uint64, error) {
	const known = abi.MPOL_MF_STRICT | abi.MPOL_MF_MOVE | abi.MPOL_MF_MOVE_ALL
	if a.Addr(0).PageOffset() != 0 || a.Uint(5)&^known != 0 {
		return 0, abi.EINVAL
	}
	if a.Uint(5)&abi.MPOL_MF_MOVE_ALL != 0 && !t.Creds().HasCap(abi.CAP_SYS_NICE) {
		return 0, abi.EPERM
	}
	return done0(checkPolicy(t, a.Size(2), a.Addr(3), a.Size(4)))
}

// SetMempolicy is set_mempolicy(2).
func SetMempolicy(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Int(0) < 0 {
		return 0, abi.EINVAL
	}
	return done0(checkPolicy(t, uint64(a.Int(0)), a.Addr(1), a.Size(2)))
}

// GetMempolicy is get_mempolicy(2).
func GetMempolicy(t *kernel.Task, a *abi.Args) (uint64, error) {
	flags, n := a.Uint(4), a.Size(2)
	if flags&^(abi.MPOL_F_NODE|abi.MPOL_F_ADDR|abi.MPOL_F_MEMS_ALLOWED) != 0 ||
		flags&abi.MPOL_F_MEMS_ALLOWED != 0 && flags&(abi.MPOL_F_NODE|abi.MPOL_F_ADDR) != 0 ||
		flags&abi.MPOL_F_ADDR == 0 && a.Addr(3) != 0 || flags&(abi.MPOL_F_NODE|abi.MPOL_F_ADDR) == abi.MPOL_F_NODE {
		return 0, abi.EINVAL
	}
	if a.Addr(1) != 0 && n < 1 {
		return 0, abi.EINVAL
	}
	if flags&abi.MPOL_F_ADDR != 0 {
		var b [1]byte
		if err := t.MM().CopyIn(a.Addr(3), b[:]); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(0); addr != 0 { // MPOL_DEFAULT, and node 0, are both 0
		var mode int32
		if err := copyOut(t, addr, &mode); err != nil {
			return 0, err
		}
	}
	if addr := a.Addr(1); addr != 0 {
		mask := make([]uint64, (min(n-1, maxNodes)+63)/64)
		if flags&abi.MPOL_F_MEMS_ALLOWED != 0 && len(mask) > 0 {
			mask[0] = 1
		}
		return done0(t.MM().CopyOut(addr, abi.SliceBytes(mask)))
	}
	return 0, nil
}

// MigratePages is migrate_pages(2).
func MigratePages(t *kernel.Task, a *abi.Args) (uint64, error) {
	if _, err := copyNodes(t, a.Addr(2), a.Size(1)); err != nil {
		return 0, err
	}
	if _, err := copyNodes(t, a.Addr(3), a.Size(1)); err != nil {
		return 0, err
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	return 0, t.MayAccess(o, kernel.AccessReal)
}

// MovePages is move_pages(2): pages are on node 0, or not there.
func MovePages(t *kernel.Task, a *abi.Args) (uint64, error) {
	count, pages, nodes, status := a.Size(1), a.Addr(2), a.Addr(3), a.Addr(4)
	if a.Uint(5)&^(abi.MPOL_MF_MOVE|abi.MPOL_MF_MOVE_ALL) != 0 {
		return 0, abi.EINVAL
	}
	o, err := t.FindTask(a.Int(0))
	if err != nil {
		return 0, err
	}
	if err := t.MayAccess(o, kernel.AccessReal); err != nil {
		return 0, err
	}
	m, err := useMM(o)
	if err != nil {
		return 0, err
	}
	defer m.DecUsers()
	for i := uint64(0); i < count; i++ {
		page, err := copyIn[uint64](t, pages+abi.Addr(8*i))
		if err != nil {
			return 0, err
		}
		if nodes != 0 {
			node, err := copyIn[int32](t, nodes+abi.Addr(4*i))
			if err != nil {
				return 0, err
			}
			if node != 0 {
				return 0, abi.ENODEV
			}
		}
		where := pageNode(m, abi.Addr(page))
		if err := copyOut(t, status+abi.Addr(4*i), &where); err != nil {
			return 0, err
		}
		if t.Interrupted() {
			return 0, abi.ERESTARTSYS
		}
	}
	return 0, nil
}

// pageNode is the status of a page: node 0, -ENOENT or -EFAULT.
func pageNode(m *mm.MM, page abi.Addr) int32 {
	var there [1]byte
	if m.Mincore(page.RoundDown(), abi.PageSize, there[:]) != nil {
		return -int32(abi.EFAULT)
	}
	if there[0] == 0 {
		return -int32(abi.ENOENT)
	}
	return 0
}

// SetMempolicyHomeNode is set_mempolicy_home_node(2).
func SetMempolicyHomeNode(_ *kernel.Task, a *abi.Args) (uint64, error) {
	return 0, inval(a.Addr(0).PageOffset() != 0 || a.Size(2) != 0 || a.Size(3) != 0)
}

// PkeyMprotect is pkey_mprotect(2).
func PkeyMprotect(t *kernel.Task, a *abi.Args) (uint64, error) {
	if a.Int(3) != -1 {
		return 0, abi.EINVAL
	}
	return Mprotect(t, a)
}
