# alone
mkdir -p $HOME /tmp/m/lib; cd /tmp/m; cat >go.mod <<'M'
module m
go 1.20
M
cat >lib/l.go <<'G'
package lib
import "sync"
func Sum(n int) int { var wg sync.WaitGroup; var mu sync.Mutex; s := 0; for i := 0; i < n; i++ { wg.Add(1); go func(i int) { defer wg.Done(); mu.Lock(); s += i; mu.Unlock() }(i) }; wg.Wait(); return s }
G
cat >lib/l_test.go <<'G'
package lib
import "testing"
func TestSum(t *testing.T) { if Sum(100) != 4950 { t.Fatal(Sum(100)) } }
func TestFail(t *testing.T) { t.Error("on purpose") }
G
cat >main.go <<'G'
package main
import ("fmt"; "m/lib"; "os"; "os/exec"; "os/signal"; "syscall"; "time"; "runtime"; "context")
func main() {
	fmt.Println(lib.Sum(10000), runtime.GOOS, len(os.Args))
	out, err := exec.Command("sh", "-c", "echo sub; exit 2").Output(); fmt.Printf("%q %v\n", out, err)
	c := make(chan os.Signal, 1); signal.Notify(c, syscall.SIGUSR1); syscall.Kill(os.Getpid(), syscall.SIGUSR1); fmt.Println(<-c)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond); defer cancel(); <-ctx.Done(); fmt.Println(ctx.Err())
	var m []byte; for i := 0; i < 50; i++ { m = make([]byte, 1<<20); m[i] = 1 }; runtime.GC(); fmt.Println(len(m))
	defer func() { fmt.Println("recovered:", recover()); os.Exit(4) }()
	var p *int; *p = 1
}
G
go vet ./... ; go build -o m . && ./m a b; echo $?; go test ./lib 2>&1 | sed -E 's/[0-9.]+s/T/'; gofmt -l .; go run . | tail -1; go list ./...; go version -m m | head -1
