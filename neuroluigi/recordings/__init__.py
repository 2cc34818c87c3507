"""Recordings as the settings declare them: found, described, grouped; nothing here knows Luigi."""

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration, Group, Recording, RecordingsError

__all__ = ["Declaration", "Group", "Recording", "RecordingsError", "find_groups"]
