# normalize: digits
cd /tmp; cat >t.py <<'P'
import socket, threading
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 0)); s.listen()
def serve():
    c, a = s.accept(); c.sendall(c.recv(99).upper()); c.close()
threading.Thread(target=serve).start()
c = socket.create_connection(s.getsockname()); c.sendall(b"over loopback"); print(c.recv(99))
try: socket.create_connection(("127.0.0.1", 1))
except OSError as e: print(e)
P
python3 t.py; echo $?; busybox wget -q http://127.0.0.1:1/ -O -; echo $?
