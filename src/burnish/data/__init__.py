"""The data room: collect, clean, find copies, select; gate, hold out, augment, balance, weigh.

Each stage takes records and gives records. What it drops it keeps aside under `rejected/`, one row a record,
with the rule, the value that broke it, the threshold, and for a duplicate its partner and their similarity.
"""
