# Real servers and their clients over lo, in a namespace of their own.
cat > /tmp/servers <<'S'
ip link set lo up; cd /tmp; ulimit -n 4096
up() { for i in $(seq 300); do curl -s -m 60 -o /dev/null "$1"; case $? in 7) sleep 0.2;; *) return;; esac; done; }
redis-server --port 7777 --save "" --appendonly no >/dev/null 2>&1 &
up http://127.0.0.1:7777/
redis-cli -p 7777 set key value; redis-cli -p 7777 get key; redis-cli -p 7777 incr n
redis-benchmark -p 7777 -c 50 -n 2000 -t set,get,lpush -q >/dev/null && echo benchmark; redis-benchmark -p 7777 -P 16 -n 2000 -t set -q > /dev/null && echo pipelined
redis-cli -p 7777 shutdown nosave
mkdir ng; head -c 300000 /dev/zero > ng/file; echo hello > ng/index.html
openssl req -x509 -newkey rsa:2048 -nodes -keyout ng/key -out ng/crt -days 1 -subj /CN=box 2>/dev/null
cat > ng/conf <<'C'
error_log /tmp/ng/err; pid /tmp/ng/pid; daemon off; worker_processes 2;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e; sendfile on;
 server { listen 8002; listen [::]:8002; listen 8003 ssl; ssl_certificate crt; ssl_certificate_key key; location / { root /tmp/ng; } } }
C
nginx -c /tmp/ng/conf -p /tmp/ng & up http://127.0.0.1:8002/
curl -s http://127.0.0.1:8002/ 'http://[::1]:8002/' -k https://127.0.0.1:8003/; curl -s http://127.0.0.1:8002/file | md5sum
for u in http://127.0.0.1:8002/ https://127.0.0.1:8003/; do wrk -t1 -c 200 -d 1s --timeout 60s $u > out; grep -c Requests/sec out; grep -E 'Socket errors|Non-2xx' out; done
kill -QUIT $(cat ng/pid); wait; cat ng/err
cat > n.js <<'J'
const h = require('http'); let n = 0
const s = h.createServer((q, r) => { let d = ''; q.on('data', x => d += x); q.on('end', () => r.end(q.method + d)) }).listen(0, '::', () => {
  const go = () => { const q = h.request({ port: s.address().port, host: n % 2 ? '127.0.0.1' : '::1', method: 'POST' }, r => r.on('data', x => { if (++n < 30) go(); else { console.log('' + x, n); s.close() } })); q.end('body') }
  go() })
J
node n.js
cat > a.py <<'P'
import asyncio
async def echo(r, w):
    while d := await r.read(1000): w.write(d)
    w.close()
async def main():
    s = await asyncio.start_server(echo, '127.0.0.1', 0, backlog=1000)
    async def one(i, r, w):
        n = 0
        for k in range(3): w.write(b'x%d' % i); n += len(await r.readexactly(len(b'x%d' % i)))
        w.close(); return n
    ends = await asyncio.gather(*[asyncio.open_connection(*s.sockets[0].getsockname()) for i in range(1000)])
    print(sum(await asyncio.gather(*[one(i, *e) for i, e in enumerate(ends)]))); s.close()
asyncio.run(main())
P
python3 a.py
S
unshare -n bash /tmp/servers
