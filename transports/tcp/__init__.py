"""The transport `tcp://`, and what all that run over TCP share.

transport      dial and listen
sockets        how sockets get connected
stream         a connected socket as a Stream
"""
