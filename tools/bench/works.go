package main

// work is one thing to measure.
type work struct {
	name  string
	micro bool     // args[0] is the operation of micro.c; the program prints ns
	args  []string // command inside the sandbox otherwise
}

var works = []work{
	{"getppid", true, nil},
	{"read", true, nil},
	{"write", true, nil},
	{"open+close", true, nil},
	{"stat", true, nil},
	{"pipe", true, nil},
	{"pingpong", true, nil},
	{"tcp pingpong", true, nil},
	{"futex", true, nil},
	{"clock_gettime", true, nil},
	{"yield", true, nil},
	{"fork", true, nil},
	{"fork+exec", true, nil},
	{"mmap+touch", true, nil},
	{"start+stop true", false, []string{"/bin/true"}},
	{"python3 -c pass", false, []string{"/usr/bin/python3", "-c", "pass"}},
	{"find / -xdev", false, []string{"/bin/sh", "-c", "find / -xdev >/dev/null 2>&1; true"}},
	{"tar /usr/share/doc", false, []string{"/bin/sh", "-c", "tar cf - /usr/share/doc 2>/dev/null | cat >/dev/null"}},
	{"gcc hello", false, []string{"/bin/sh", "-c", "echo 'int main(){return 0;}' >/tmp/a.c && gcc -o /tmp/a /tmp/a.c"}},
}
