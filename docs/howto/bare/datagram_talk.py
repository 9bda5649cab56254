import socket
import sys

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[1])))
print("listening", flush=True)
while True:
    message, address = server.recvfrom(1024)
    print(message.decode(), flush=True)
    server.sendto(input().encode(), address)
