package kernel

import "testing"

func TestInsnAccess(t *testing.T) {
	for _, c := range []struct {
		text  string
		bytes string
		want  insnAccess
	}{
		{"movb $1,(%rax)", "\xc6\x00\x01", accessWrite},
		{"movzbl (%rax),%eax", "\x0f\xb6\x00", accessRead},
		{"mov (%rax),%rax", "\x48\x8b\x00", accessRead},
		{"mov %rax,(%rax)", "\x48\x89\x00", accessWrite},
		{"add %eax,(%rax)", "\x01\x00", accessWrite},
		{"add (%rax),%eax", "\x03\x00", accessRead},
		{"cmp %eax,(%rax)", "\x39\x00", accessRead},
		{"cmpl $1,(%rax)", "\x83\x38\x01", accessRead},
		{"orl $1,(%rax)", "\x83\x08\x01", accessWrite},
		{"lock cmpxchg %ecx,(%rdx)", "\xf0\x0f\xb1\x0a", accessWrite},
		{"lock xadd %ax,(%rdx)", "\x66\xf0\x0f\xc1\x02", accessWrite},
		{"push %rbx", "\x53", accessWrite},
		{"push %r12", "\x41\x54", accessWrite},
		{"call rel32", "\xe8\x00\x00\x00\x00", accessWrite},
		{"call *(%rax)", "\xff\x10", accessStack},
		{"jmp *(%rax)", "\xff\x20", accessRead},
		{"incl (%rax)", "\xff\x00", accessWrite},
		{"testb $1,(%rax)", "\xf6\x00\x01", accessRead},
		{"notl (%rax)", "\xf7\x10", accessWrite},
		{"rep movsb", "\xf3\xa4", accessMove},
		{"rep stosq", "\xf3\x48\xab", accessWrite},
		{"lodsb", "\xac", accessRead},
		{"pop (%rax)", "\x8f\x00", accessPop},
		{"movaps %xmm0,(%rax)", "\x0f\x29\x00", accessWrite},
		{"movaps (%rax),%xmm0", "\x0f\x28\x00", accessRead},
		{"movq (%rax),%xmm0", "\xf3\x0f\x7e\x00", accessRead},
		{"movd %xmm0,(%rax)", "\x66\x0f\x7e\x00", accessWrite},
		{"vmovdqu %ymm0,(%rdi)", "\xc5\xfe\x7f\x07", accessWrite},
		{"vmovdqu (%rdi),%ymm0", "\xc5\xfe\x6f\x07", accessRead},
		{"vextracti128 $1,%ymm0,(%rax)", "\xc4\xe3\x7d\x39\x00\x01", accessWrite},
		{"vmovdqu64 %zmm16,(%rdi)", "\x62\xe1\xfe\x48\x7f\x07", accessWrite},
		{"vmovdqu64 (%rsi),%zmm16", "\x62\xe1\xfe\x48\x6f\x06", accessRead},
		{"flds (%rax)", "\xd9\x00", accessRead},
		{"fstps (%rax)", "\xd9\x18", accessWrite},
		{"fldl (%rax)", "\xdd\x00", accessRead},
		{"fistpll (%rax)", "\xdf\x38", accessWrite},
		{"fildll (%rax)", "\xdf\x28", accessRead},
		{"fldt (%rax)", "\xdb\x28", accessRead},
		{"fstpt (%rax)", "\xdb\x38", accessWrite},
		{"setne (%rax)", "\x0f\x95\x00", accessWrite},
		{"btsl $1,(%rax)", "\x0f\xba\x28\x01", accessWrite},
		{"btl $1,(%rax)", "\x0f\xba\x20\x01", accessRead},
		{"movbe %eax,(%rax)", "\x0f\x38\xf1\x00", accessWrite},
		{"crc32l (%rax),%eax", "\xf2\x0f\x38\xf1\x00", accessRead},
		{"fxsave (%rax)", "\x0f\xae\x00", accessWrite},
		{"fxrstor (%rax)", "\x0f\xae\x08", accessRead},
		{"movnti %eax,(%rax)", "\x0f\xc3\x00", accessWrite},
	} {
		i, ok := decodeInsn([]byte(c.bytes))
		if got := i.access(); !ok || got != c.want {
			t.Errorf("%s: %v %d, want %d", c.text, ok, got, c.want)
		}
	}
	for _, b := range []string{"", "\x66", "\x48", "\x0f", "\x0f\x38", "\xc4\xe3", "\x62\xe1\xfe"} {
		if _, ok := decodeInsn([]byte(b)); ok {
			t.Errorf("%q is a whole instruction", b)
		}
	}
}

func FuzzInsn(f *testing.F) {
	f.Add([]byte("\x66\xf0\x0f\xc1\x02"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		i, _ := decodeInsn(b)
		i.access()
	})
}
