"""What `neuroluigi.open` gives: a lab in Python, wherever the process is."""

from neuroluigi.notebook.frame import Table
from neuroluigi.notebook.group import LabGroup, Waveforms
from neuroluigi.notebook.lab import Lab, open
from neuroluigi.notebook.run import RunResult
from neuroluigi.notebook.session import LabSession
from neuroluigi.notebook.status import LabStatus

__all__ = ["Lab", "LabGroup", "LabSession", "LabStatus", "RunResult", "Table", "Waveforms", "open"]
