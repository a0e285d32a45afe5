"""Trials of a chip's table on its model: `trial` accounts for every sample, `garbled` has FIFOs that go wrong."""
