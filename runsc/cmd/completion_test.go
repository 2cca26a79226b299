package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// complete asks what a shell asks; the last word is the one being typed.
func complete(t *testing.T, root string, words ...string) string {
	t.Helper()
	code, out, _ := runsc(t, append([]string{"__completeNoDesc", "--root", root}, words...)...)
	if code != 0 {
		t.Errorf("completion of %q: exit %d", words, code)
	}
	list, _, _ := strings.Cut("\n"+out, "\n:") // the line of directives ends it
	return strings.Join(strings.Fields(list), " ")
}

func TestCompletion(t *testing.T) {
	root := t.TempDir()
	// What runs is this test: a process that lives.
	_, stat, _ := strings.Cut(readFile(t, "/proc/self/stat"), ") ")
	self := fmt.Sprintf(`{"pid": %d, "start": %s}`, os.Getpid(), strings.Fields(stat)[19])
	for id, status := range map[string]string{"made": "created", "web1": "running", "web2": "paused", "old": "stopped"} {
		proc := self
		if status == "stopped" {
			proc = "{}"
		}
		if err := os.Mkdir(filepath.Join(root, id), 0o700); err != nil {
			t.Fatal(err)
		}
		state := fmt.Sprintf(`{"id": %q, "sandboxID": %[1]q, "status": %q, "sentry": %s, "spec": {}}`, id, status, proc)
		if err := os.WriteFile(filepath.Join(root, id, "state.json"), []byte(state), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ words, want string }{
		{"--platform |", "trap ptrace"},
		{"--platform=|", "trap ptrace"},
		{"--network |", "sandbox none user host"},
		{"--overlay |", "auto root all none"},
		{"--log-format |", "text json"},
		{"--rootless |", "auto true false"},
		{"do --network |", "sandbox none user host"},
		{"do --tty |", "auto yes no"},
		{"list --format |", "table json"},
		{"ps -f |", "table json"},
		{"kill box SIGK|", "SIGKILL"},
		{"kill box us|", "USR1 USR2"},
		{"help sy|", "syscalls"},
		{"help pa|", "pause"},
		{"help pause |", ""},
		{"state |", "made old web1 web2"},
		{"delete --force o|", "old"},
		{"start |", "made"},
		{"resume |", "web2"},
		{"exec --tty |", "made web1"},
		{"kill |", "made web1 web2"},
		{"pause web1 |", ""},
		{"update --memory 1g web|", "web1 web2"},
	} {
		words := strings.Split(tc.words, " ")
		words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], "|")
		if got := complete(t, root, words...); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.words, got, tc.want)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
