# A generated project of 40 files, in parallel, then rebuilt in part.
cd /tmp; mkdir -p p/src; cd p
for i in $(seq 40); do printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(int x) { char b[64]; snprintf(b, sizeof b, "%%d", x); return atoi(b) + %d; }\n' $i $i >src/f$i.c; done
{ for i in $(seq 40); do echo "int f$i(int);"; done; echo '#include <stdio.h>'; echo 'int main(void){int x=0;'; for i in $(seq 40); do echo "x=f$i(x);"; done; echo 'printf("%d\n",x); return 0;}'; } >src/main.c
cat >Makefile <<'M'
SRC := $(wildcard src/*.c)
OBJ := $(SRC:src/%.c=obj/%.o)
prog: $(OBJ)
	@$(CC) -o $@ $^ && echo linked
obj/%.o: src/%.c | obj
	@$(CC) -O2 -MMD -c -o $@ $<
obj:
	@mkdir -p $@
-include $(OBJ:.o=.d)
clean:
	@rm -rf obj prog
fail:
	@exit 3
M
make -j4; echo $?; ./prog; make; touch src/f7.c; make -j4; make -q; echo $?; make fail; echo $?; make nothere; echo $?; ls obj | wc -l; make clean; ls
make -j4 -Oline -s && ./prog
