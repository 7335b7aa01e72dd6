"""The epochs of a producer id (KIP-98), which are 16-bit integers."""

EPOCH_LAST = 2**15 - 2
"""The last epoch that a producer gets: after it comes a new producer id. One more is left for markers."""
