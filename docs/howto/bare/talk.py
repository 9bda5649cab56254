import socket
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    while True:
        message = conn.recv(1024).decode()
        if message == "Q":
            break
        print(f"{message}", flush=True)
        answer = input()
        conn.send(answer.encode())
        if answer == "Q":
            break
    conn.close()
