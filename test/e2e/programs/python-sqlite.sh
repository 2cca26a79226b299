cd /tmp; cat >t.py <<'P'
import sqlite3, threading, os
for mode in ("delete", "wal", "memory"):
    c = sqlite3.connect("t-%s.db" % mode); print(c.execute("pragma journal_mode=%s" % mode).fetchone())
    c.execute("create table t(a integer primary key, b text)"); c.executemany("insert into t(b) values(?)", [("x%d" % i,) for i in range(2000)]); c.commit()
    def r(): d = sqlite3.connect("t-%s.db" % mode, timeout=200); d.execute("insert into t(b) values('thread')"); d.commit(); d.close()
    ts = [threading.Thread(target=r) for _ in range(4)]; [t.start() for t in ts]; [t.join() for t in ts]
    print(c.execute("select count(*), max(a), sum(length(b)) from t").fetchone()); c.rollback(); print(c.execute("pragma integrity_check").fetchone()); c.execute("vacuum"); c.close()
d = sqlite3.connect("t-delete.db", isolation_level=None); d.execute("begin exclusive"); e = sqlite3.connect("t-delete.db", timeout=0.1)
try: e.execute("insert into t(b) values('y')")
except sqlite3.OperationalError as x: print(x)
P
python3 t.py; echo "exit $?"; ls t-*; sqlite3 t-wal.db 'select count(*) from t; create index i on t(b); select b from t where b="x7";' .tables
