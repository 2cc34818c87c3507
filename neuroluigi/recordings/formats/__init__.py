"""Formats of recordings, one file each: a new format is a new file here, and a name in find.py.

A format says of a recording: samples, dtype, rate, counter, gaps, where the bytes of the samples are, and of each
channel name, kind and scale (reader.py). recordings.found asks it for the rows of what it finds and of tables.
"""
