"""Formats of recordings, one file each, such as raw: a new format is a new file here.

A format says of a recording's file: samples, channels, dtype, rate, gain, names of channels, counter, and where the
bytes of the samples are. recordings.table asks it when a row is described; recordings.concatenation for each part.
"""
