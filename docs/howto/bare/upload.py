import json
import os
import socket
import struct
import sys

server = socket.socket()
server.bind(("127.0.0.1", int(sys.argv[1])))
server.listen(5)
print("listening", flush=True)
while True:
    conn, address = server.accept()
    (length,) = struct.unpack("i", conn.recv(4))
    header = json.loads(conn.recv(length))
    with open(os.path.join("uploads", header["file_name"]), "wb") as file:
        received = 0
        while received < header["file_size"]:
            data = conn.recv(1024)
            if not data:
                break
            file.write(data)
            received += len(data)
    conn.close()
