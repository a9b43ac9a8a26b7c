"""The store of the processes of one machine, in LMDB."""
