"""What scripts/bench.py is made of: the project beside its floors and its peers, each in processes of its own.

    rows ──▶ course ──▶ workers ══ a line in, a line out ══ worker: own, own_crowds, own_strain     the project
                │                                                   floors, floor_crowds            raw Trio
                ▼                                                   peers/                          other libraries
             results ──▶ table, JSON, plot

Each row has two contenders, which are measured in turn: A B A B … What counts is the median of the ratios of the
pairs, so that a machine that is busy now and idle then does not decide. A new row is an entry in `rows`.
"""
