"""What the paper's own code (EdgeML) wrote: checkpoints of its networks, C headers of its RNN weights.

`rnnpool import-edgeml` (import_edgeml.py) is the command; docs/paper.md says what is read.
"""
