package main

import (
	"os"

	"lazaret/runsc/shim"
)

func main() { os.Exit(shim.Main(os.Args[1:])) }
