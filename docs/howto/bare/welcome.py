import socket
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    conn.send(b"welcome\n")
    conn.close()
