"""Entropy coding: context models, their exact integer form, and the range coder.

A context model divides the bits of an iteration into groups, which are coded in a fixed order. For each bit of a group
it predicts P(bit = 1), conditional on the bits of earlier groups and of earlier iterations. This is all that the range
coder needs to know (`interface.Groups`).

A context model is trained in floating point (`networks`), then rounded once (`quantization`). Files are coded with the
rounded model (`contexts`), which computes in integers, so that every machine gets the same probabilities.
"""
