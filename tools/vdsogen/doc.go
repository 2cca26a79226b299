// Command vdsogen compiles src/vdso.c into the vDSO image that sentry/loader/vdso embeds.
// The image is committed; TestGenerated builds it again and compares the bytes, with the
// compiler of Debian 12.
//
// Needs gcc and binutils at generate time only.
package main
