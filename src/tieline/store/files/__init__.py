"""The files of a server on its disk: names, folders beneath one root, what is known of them, what they may take.

Blocking code for any thread; knows nothing of peers and sockets. Errors are `tieline.errors`, in sentences.
"""
