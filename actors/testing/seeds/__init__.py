"""From one seed to many: run, search, make small, tell.

simulate       `@simulate`: a test from many seeds
trial          one such test, from one seed after the other
chosen         which seeds, and without which faults
storm          faults that strike by themselves
search         one run from its seed, judged; the fewest faults that still fail
cancellation   cancelled at the k-th step
report         what is said of a failure
"""
