# normalize: durations
# Standard packages whose tests are small to compile.
mkdir -p $HOME; cd "$(go env GOROOT)/src"
go test -short -p 2 container/heap errors path bufio
go test -short -run 'TestIndex|TestSplit|TestReplace|TestBuilder' strings
go test -short -run 'Pipe|Wait|Exit|Cat|Echo' os/exec
