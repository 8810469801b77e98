"""Nearest neighbours of descriptors: FAISS in memory, its snapshot on disk, and how it catches up with the store.

A cache from end to end: the store holds the truth. Does not decide what a duplicate is and writes nothing to the store.
"""
