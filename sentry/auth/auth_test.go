package auth

import (
	"testing"

	"lazaret/syscalls/abi"
)

func root() *Creds {
	return &Creds{UserNS: NewInitial(), Permitted: AllCaps, Effective: AllCaps, Bounding: AllCaps}
}

func user(t *testing.T, id uint32) *Creds {
	t.Helper()
	c, err := root().SetRESGID(id, id, id)
	if err == nil {
		c, err = c.SetRESUID(id, id, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSetuidDropsCaps(t *testing.T) {
	c := user(t, 1000)
	if c.Permitted != 0 || c.Effective != 0 || c.RUID != 1000 || c.FSUID != 1000 {
		t.Fatalf("%+v", c)
	}
	if _, err := c.SetUID(0); err != abi.EPERM {
		t.Fatalf("back to root: %v", err)
	}
	k, _ := root().SetKeepCaps(true)
	k, err := k.SetUID(5)
	if err != nil || k.Permitted != AllCaps || k.Effective != 0 {
		t.Fatalf("keepcaps: %v %+v", err, k)
	}
}

func TestExecCreds(t *testing.T) {
	suid := &ExecFile{Mode: 0o4755, UID: 0, GID: 0}
	capFile := &ExecFile{Mode: 0o755, Caps: FileCaps{Valid: true, Effective: true, Permitted: 1 << abi.CAP_NET_RAW}}
	for _, c := range []struct {
		name   string
		creds  *Creds
		file   *ExecFile
		o      ExecOptions
		euid   KUID
		caps   CapSet
		secure bool
	}{
		{"root stays root", root(), &ExecFile{Mode: 0o755}, ExecOptions{}, 0, AllCaps, false},
		{"user stays user", user(t, 7), &ExecFile{Mode: 0o755}, ExecOptions{}, 7, 0, false},
		{"set-user-id root", user(t, 7), suid, ExecOptions{}, 0, AllCaps, true},
		{"no_new_privs", user(t, 7), suid, ExecOptions{NoNewPrivs: true}, 7, 0, false},
		{"nosuid", user(t, 7), &ExecFile{Mode: 0o4755, NoSUID: true}, ExecOptions{}, 7, 0, false},
		{"traced", user(t, 7), suid, ExecOptions{Limited: true}, 7, 0, true},
		{"file capability", user(t, 7), capFile, ExecOptions{}, 7, 1 << abi.CAP_NET_RAW, true},
	} {
		n, secure, err := ExecCreds(c.creds, c.file, c.o)
		if err != nil || n.EUID != c.euid || n.Effective != c.caps || n.Permitted != c.caps || secure != c.secure {
			t.Errorf("%s: %v euid %d caps %x/%x secure %v", c.name, err, n.EUID, n.Effective, n.Permitted, secure)
		}
	}
}

func TestUserNamespaceMaps(t *testing.T) {
	u := user(t, 1000)
	in, err := u.NewUserNS(1)
	if err != nil || in.Effective != AllCaps || in.UserNS.UID(1000) != OverflowUID {
		t.Fatalf("%v %+v", err, in)
	}
	ns := in.UserNS
	for name, c := range map[string]struct {
		data string
		err  error
	}{
		"foreign id":   {"0 0 1\n", abi.EPERM},
		"two ids":      {"0 1000 2\n", abi.EPERM},
		"empty":        {"", abi.EINVAL},
		"not a number": {"0 x 1\n", abi.EINVAL},
		"no length":    {"0 1000 0\n", abi.EINVAL},
		"overlap":      {"0 1 5\n3 10 5\n", abi.EINVAL},
		"wrap":         {"4294967290 1 100\n", abi.EINVAL},
	} {
		if err := ns.WriteUIDMap(in, c.data); err != c.err {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	if err := ns.WriteGIDMap(in, "0 1000 1"); err != abi.EPERM {
		t.Errorf("gid map while setgroups is allowed: %v", err)
	}
	if err := ns.WriteSetgroups(in, false); err != nil {
		t.Fatal(err)
	}
	if err := ns.WriteGIDMap(in, "0 1000 1"); err != nil {
		t.Error(err)
	}
	if err := ns.WriteUIDMap(in, "0 1000 1\n"); err != nil || ns.UID(1000) != 0 {
		t.Errorf("own id: %v, shows as %d", err, ns.UID(1000))
	}
	if err := ns.WriteUIDMap(in, "0 1000 1\n"); err != abi.EPERM {
		t.Errorf("second write: %v", err)
	}
	if in.HasCapIn(abi.CAP_SYS_ADMIN, ns.Parent) || !u.HasCapIn(abi.CAP_SYS_ADMIN, ns) {
		t.Error("capabilities reach the wrong namespace")
	}
}
