package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"

	"lazaret/syscalls"
)

func main() {
	out := flag.String("o", "COMPATIBILITY.md", "file to write")
	flag.Parse()
	var b bytes.Buffer
	err := syscalls.WriteCompatibility(&b)
	if err == nil {
		err = os.WriteFile(*out, b.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compatgen:", err)
		os.Exit(1)
	}
}
