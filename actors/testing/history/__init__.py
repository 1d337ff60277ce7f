"""What happened in a run: as records, and as people read it. The judge (`actors.testing.judge`) knows nothing else.

records        one for each thing that happened
eventlog       all of them as JSON lines
episodes       each in words
diagram        as a sequence diagram (Mermaid)
"""
