"""The life of a proxy, decided by one table (PROTOCOL L, D).

phases         its words: phases, what happens, what is to be done
table          phase and event to phase and actions
"""
