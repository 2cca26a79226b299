cd /tmp; cat >h.c <<'C'
#include <stdio.h>
#include <math.h>
int main(int c, char **v) { printf("hello %d %.4f %s\n", c, sqrt(2.0*c), __VERSION__); return 3; }
C
gcc -O2 -Wall -o h h.c -lm && ./h a b; echo $?; gcc -static -o hs h.c -lm && ./hs; echo $?; gcc -g -fsanitize=undefined -o hu h.c -lm 2>/dev/null && ./hu; musl-gcc -static -o hm h.c && ./hm x; echo $?
cat >h.cc <<'C'
#include <iostream>
#include <thread>
#include <vector>
#include <map>
#include <string>
#include <future>
#include <regex>
#include <stdexcept>
int main() { std::vector<std::thread> t; std::atomic<int> n{0}; for (int i = 0; i < 8; i++) t.emplace_back([&]{ for (int k = 0; k < 1000; k++) n++; }); for (auto &x : t) x.join();
 std::map<std::string,int> m{{"a",1}}; try { m.at("b"); } catch (std::out_of_range &e) { std::cout << "caught " << e.what() << "\n"; }
 auto f = std::async(std::launch::async, []{ return 42; }); std::cout << n << " " << f.get() << " " << std::regex_match("abc12", std::regex("[a-c]+\\d+")) << std::endl; }
C
g++ -O1 -std=c++17 -pthread -o hc h.cc && ./hc; echo $?
printf 'int f(void){return 5;}' >l.c; gcc -shared -fPIC -o libl.so l.c; printf 'int f(void); int main(void){return f();}' >m.c; gcc -o m m.c -L. -ll -Wl,-rpath,/tmp && ./m; echo $?; ldd m | wc -l; rm libl.so; ./m; echo $?
gcc -c l.c && ar rcs libl.a l.o && nm libl.a | grep ' T ' && objdump -d l.o | grep -c ret && strip m && readelf -h m | grep Type; printf 'int main(void){ return x; }' >bad.c; gcc bad.c; echo $?
printf '#include <stddef.h>\nint main(void){ *(volatile int*)NULL = 1; }' >segv.c; gcc -o segv segv.c; ./segv; echo $?; printf 'int main(int c,char**v){ return 1/(c-1); }' >fpe.c; gcc -o fpe fpe.c; ./fpe; echo $?
printf '#include <stdlib.h>\nint main(void){ abort(); }' >ab.c; gcc -o ab ab.c; ./ab; echo $?; printf 'int f(int n){ volatile char b[4096]; b[0]=n; return f(n+1)+b[0]; } int main(void){ return f(0); }' >so.c; gcc -O0 -w -o so so.c; ./so; echo $?
gcc -pipe -E h.c | wc -l; gcc -save-temps -o h h.c -lm; ls h.*; gcc -flto -O2 -o hl h.c -lm && ./hl; gcc -m32 -c l.c -o l32.o; file l32.o | cut -d, -f1
