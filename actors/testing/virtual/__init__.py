"""Code under a virtual clock, from a seed, with nothing real in it.

runner         Trio under a virtual clock, its tasks in an order that the seed decides
chance         the process' own chance, from the seed
real           code that uses real time, threads, processes or sockets is told so, by name
uses           what is real, and what to use instead
callers        whose code is running
"""
