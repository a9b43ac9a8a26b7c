"""The store of the processes of one machine, on LMDB."""
