"""Who is there: before anything else two nodes prove to each other who they are (PROTOCOL H, A).

handshake      the four steps, for either side
transcript     what is signed in them
slots          room for those who have not proved themselves yet
adverts        a node's signed word on where it can be reached
"""
