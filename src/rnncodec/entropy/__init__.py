"""Entropy coding: context models, their exact integer form, and the range coder.

A context model splits the bits of an iteration into ordered groups and gives P(bit = 1) of a group from all bits before
it: those of earlier groups, and of earlier iterations. The coder knows nothing else of it (`contract.Groups`).

A model trains in floats (`checkerboard.Checkerboard`), is rounded once (`quantization.quantize`), and from then on runs
in integers alone (`integers.IntegerContext`), so that the encoder's and the decoder's probabilities are the same
whatever machines they run on.
"""
