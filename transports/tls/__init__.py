"""The transport `tls://`: TLS 1.3 with the node's own key.

transport      dial and listen
stream         TLS over a socket, without waiting
certificates   the certificate of a node, and what another node's says
"""
