import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    data, address = server.recvfrom(1024)
    if not data:
        break
    server.sendto(data.upper(), address)
