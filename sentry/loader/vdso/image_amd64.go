package vdso

import _ "embed"

//go:embed vdso_amd64.so
var image []byte
