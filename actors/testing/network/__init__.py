"""What lies between the nodes of a simulation, under the `memory` transport.

wires          hosts by name, and all that can go wrong between them
fabric         what carries the bytes, and who looks on
pipes          one direction of one connection
troubles       what is wrong: where, how, until when
dials          dials that do not come through
tape           a digest of all that crosses
"""
