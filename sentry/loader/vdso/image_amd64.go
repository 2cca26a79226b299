package vdso

import _ "embed"

//go:generate go run lazaret/tools/vdsogen ../../../tools/vdsogen/src vdso_amd64.so

//go:embed vdso_amd64.so
var image []byte
