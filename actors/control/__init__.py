"""The control socket of a node: how people and the console see and steer a node that runs on this machine.

messages     every request and reply, on one page
sockets      where the sockets lie, and who may use them; the clusters that run
server       serve_control: many clients, contained
client       open_control: typed calls
answers      a request, to the node's reply
process      its memory, and how busy its loop is
neighbours   who can be meant by a name
resolve      names to nodes
languages    with whose classes a message is made from JSON, and its answer read
compose      how
foreign      messages whose classes are not known here
failures     errors across the socket
"""
