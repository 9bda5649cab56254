import socket
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
conn, address = server.accept()
number = 0
while data := conn.recv(1024):
    number += 1
    print(f"{number}: {data}", flush=True)
