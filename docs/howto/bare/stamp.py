import socket
import sys
import time

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    while data := conn.recv(1024):
        message = data.decode()
        conn.send(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}]:{message}".encode())
    conn.close()
