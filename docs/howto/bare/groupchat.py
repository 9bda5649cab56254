import socket
import sys
import threading
import time

members = []


def serve(conn, address):
    members.append(conn)
    while True:
        text = conn.recv(1024).decode()
        if text == "quit":
            break
        for member in members:
            member.send(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {address}: {text}".encode())
    members.remove(conn)
    conn.close()


server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=server.accept(), daemon=True).start()
