# memcached and PostgreSQL with their clients, over lo and over unix sockets.
cd /tmp
memcached -u nobody -l 127.0.0.1 -p 11311 -U 0 &
until nc -z 127.0.0.1 11311; do sleep 0.1; done
cat > mc.py <<'P'
import socket
def talk(c, *lines):
    f = c.makefile("rb")
    for l in lines:
        c.sendall(l + b"\r\n"); print(f.readline())
cs = [socket.create_connection(("127.0.0.1", 11311)) for i in range(100)]
talk(cs[0], b"set k 0 0 2\r\n41", b"incr k 1", b"delete k", b"get k", b"nonsense")
for i, c in enumerate(cs): c.sendall(b"set k%d 0 0 1000\r\n" % i + b"v" * 1000 + b"\r\n")
print({c.recv(99) for c in cs})
n = 0
for i, c in enumerate(cs):
    c.sendall(b"get k%d\r\n" % ((i + 7) % 100)); f = c.makefile("rb"); f.readline(); n += len(f.readline()); f.readline()
print(n)
P
python3 mc.py; kill %1; wait
PATH=$PATH:$(echo /usr/lib/postgresql/*/bin); export PGHOST=/tmp/pg PGUSER=postgres PGPORT=5444
mkdir pg; chown postgres pg; cd pg
as() { setpriv --reuid postgres --regid postgres --clear-groups "$@"; }
as initdb -D /tmp/pg/data -A trust --no-sync >initdb.out 2>&1; echo initdb $?
as pg_ctl -D data -w -t 240 -l log -o "-k /tmp/pg -h 127.0.0.1,::1 -p $PGPORT -c fsync=off" start >/dev/null; echo start $?
psql -Atc "create table t(i int primary key, s text); insert into t select g, md5(g::text) from generate_series(1,10000) g; select count(*), sum(i), min(s) from t; select s from t where i = 77"
psql -h 127.0.0.1 -Atc "select inet_client_addr(), inet_server_port()"; psql -h ::1 -Atc "select inet_client_addr(), count(*) from t"
psql -Atc "copy t to stdout" | md5sum; psql -Atc "select 1/0"; echo $?
as pgbench -i -s 1 -q postgres >/dev/null 2>&1; echo init $?
as pgbench -h 127.0.0.1 -c 4 -j 2 -t 50 postgres 2>/dev/null | grep -E 'processed|failed'
psql -Atc "select count(*) from pgbench_history"
as pg_dump -t t | grep -c '^[0-9]'
as pg_ctl -D data -w -t 240 -m fast stop >/dev/null; echo stop $?
