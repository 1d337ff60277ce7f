"""The dashboard: a process of its own, which knows of a cluster only what its control sockets say.

command     `actors ui`
shell       stage, keys, screen: one nursery
stage       a cluster that runs, or a recorded log
poller      asks each node, listens to it, runs what a key asked for
screen      what has changed, to bytes
running     a command that a key asked for
terminal    the terminal: its keys, its size, its end; and how it is left
still       one frame, as text, data or a picture
past        a recorded log: lines to moments                                         pure, as all that follow
fold        moments to nodes, links, engines
replay      what was known at a moment
player      the cursor: play, step, speed
watch       what was heard of the cluster: snapshots in, rates and states out
problems    what is wrong, since when
actions     what can be done about it, as commands
places      the words of the desk
desk        where the person stands: screens, cursor, prompt; keys in, effects out
bindings    the one table of keys
keyboard    bytes of a terminal to names of keys
picture     rows to choose from, on each screen
columns     rows to lines of a given width
looks       a state by glyph, word and colour
figures     numbers for people
views/      screens: what was heard and where one stands, to lines of text
"""
