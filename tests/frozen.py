"""The last of a server's packages: in the processes that are forked from it, the garbage collector leaves the objects
of these packages alone. To look through them takes a quarter of the time of a short run, and copies their memory."""

import gc

gc.collect()
gc.freeze()
