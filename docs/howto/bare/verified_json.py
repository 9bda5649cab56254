import hmac
import json
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
    if conn.recv(1024) == hmac.new(b"secret", nonce, "md5").digest():
        while data := conn.recv(1024):
            value = json.loads(data)
            conn.send(json.dumps(value).encode())
    conn.close()
