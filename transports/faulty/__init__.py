"""Another transport, with troubles that are set from outside: for local clusters.

transport      kept apart, slow
stream         a connection that is
"""
