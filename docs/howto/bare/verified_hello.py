import hashlib
import os
import socket
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    nonce = os.urandom(32)
    conn.send(nonce)
    answer = conn.recv(1024).decode()
    if answer == hashlib.sha1(b"secret" + nonce).hexdigest():
        conn.send(b"hello")
    conn.close()
