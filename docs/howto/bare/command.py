import socket
import subprocess
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    while command := conn.recv(1024).decode():
        output = subprocess.getoutput(command) or "no output"
        conn.send(str(len(output)).encode())
        conn.recv(1024)
        conn.send(output.encode())
    conn.close()
