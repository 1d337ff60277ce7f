"""The transports `ws://` and `wss://`, on trio-websocket.

transport      dial and listen
pump           what goes on beside a connection; the one file that imports trio-websocket
stream         what it carries, as a Stream
"""
