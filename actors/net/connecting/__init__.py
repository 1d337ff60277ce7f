"""How a connection comes about: which address is dialed, when, and which of several stays (PROTOCOL C, L, A).

selection      which addresses, in which order and when
backoff        when again after a failure
upgrade        when a better address is tried while a connection stands
crowd          over which time many peers are to come back
history        what is remembered of dials, by address
locality       which hosts mean this machine
contest        which of several connections is the current one
"""
