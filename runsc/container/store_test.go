package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lazaret/runsc/spec"
)

func TestCheckID(t *testing.T) {
	for id, ok := range map[string]bool{
		"a": true, "A.b-c_d+1": true, "...": true, strings.Repeat("x", 200): true,
		"": false, ".": false, "..": false, "a b": false, "a/b": false, "../x": false, "a\n": false, "ä": false,
		"~new": false, strings.Repeat("x", 201): false,
	} {
		if err := CheckID(id); (err == nil) != ok {
			t.Errorf("CheckID(%q) = %v, want ok %v", id, err, ok)
		}
	}
}

func testState(id string) *State {
	return &State{ID: id, SandboxID: id, Status: Created, Spec: spec.Example(), Creator: procOf(os.Getpid())}
}

func TestNewDirOnce(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "root"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	made, refused := 0, 0
	for range 16 {
		wg.Go(func() {
			_, lock, err := s.newDir(testState("same"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
				lock.Close()
			case errors.Is(err, ErrExist):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 1 || refused != 15 {
		t.Errorf("%d creates succeeded, %d were refused", made, refused)
	}
	if entries, _ := os.ReadDir(s.Root); len(entries) != 1 {
		t.Errorf("root holds %v", entries)
	}
}

// Readers of a state that is written all the time always see a whole one.
func TestSaveAtomic(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "root"))
	if err != nil {
		t.Fatal(err)
	}
	dir, lock, err := s.newDir(testState("c"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			st := testState("c")
			st.Bundle = strings.Repeat("b", i%5000)
			if err := st.save(dir); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if _, err := s.Load("c"); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("state directory holds %v", entries)
	}
}

func TestDamagedState(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "half": `{"id":"c"`, "other id": `{"id":"d","spec":{}}`, "no spec": `{"id":"c"}`, "array": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(s.dir("c"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(s.dir("c"), stateName), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load("c"); err == nil || !strings.Contains(err.Error(), "delete --force") {
				t.Errorf("load = %v, want an error that says what to do", err)
			}
			if list, errs := s.List(); len(list) != 0 || len(errs) != 1 {
				t.Errorf("list = %v, %v", list, errs)
			}
			if err := s.RemoveDamaged("c"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListCollectsGarbage(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	old, young := s.dir(tempPrefix+"new-old"), s.dir(tempPrefix+"new-young")
	for _, d := range []string{old, young} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * tempAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, errs := s.List(); len(errs) != 0 {
		t.Error(errs)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("garbage is still there")
	}
	if _, err := os.Stat(young); err != nil {
		t.Error("what another runsc is making was removed")
	}
}

func TestNoPermissionAndFullDisk(t *testing.T) {
	// /dev/full's file system cannot make directories; a file in the way cannot either.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{filepath.Join(file, "root"), "/proc/nope"} {
		s, err := Open(root)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.newDir(testState("c")); err == nil || !strings.Contains(err.Error(), root[:5]) {
			t.Errorf("newDir in %s = %v, want an error that names it", root, err)
		}
	}
}

func TestProc(t *testing.T) {
	self := procOf(os.Getpid())
	if !self.Alive() {
		t.Error("this process is not alive")
	}
	other := Proc{PID: self.PID, Start: self.Start + 1}
	if other.Alive() {
		t.Error("a process with our number and another start is alive")
	}
	if err := other.kill(9); err != nil {
		t.Error(err)
	}
	if (Proc{}).Alive() {
		t.Error("no process is alive")
	}
	if fmt.Sprint(procOf(-1)) != fmt.Sprint(Proc{}) {
		t.Error("procOf(-1) is somebody")
	}
}
