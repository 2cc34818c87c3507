"""Spectrum: of a group, in a pipeline; what it computes is tested with signals."""

import pytest

from neuroluigi.provenance.record import read_record
from tests.ephys.spike_steps import pictures, run, with_spikes


@pytest.fixture
def lab(pipeline):
    return with_spikes(pipeline)


def test_it_is_made_in_the_format_of_the_settings(lab):
    run(lab, "Spectrum", "--Spectrum-format", "pdf", "--Spectrum-window", "1-3")
    assert pictures(lab) == ["spectrum.pdf"]
    fingerprint = read_record(lab.results / "s/runs/Spectrum.json")["fingerprint"]
    assert fingerprint == {"window": "1-3", "format": "pdf"}


def test_a_kind_that_no_channel_has_fails_the_step(lab):
    out = run(lab, "Spectrum", "--Spectrum-kind", "lf", code=30)
    assert "kind 'lf': the channels are of kind unknown" in out
