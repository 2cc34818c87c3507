"""A run of SpikeGLX in files: a probe and NI that get the same pulses, for tests of clocks."""

from pathlib import Path

import numpy as np

# A run of SpikeGLX: 40 s of a probe, one channel and the sync word, and of NI with a digital word; pulses each second.
PROBE = "typeThis=imec\nimSampRate=3000\nimMaxInt=512\nimAiRangeMax=0.6\nimDatPrb_type=0\nimDatPrb_sn=7\n"
PROBE += "acqApLfSy=1,0,1\nsnsApLfSy=1,0,1\nnSavedChans=2\nsyncSourceIdx=2\nsyncSourcePeriod=1\n"
NI = "typeThis=nidq\nniSampRate=2500\nniMaxInt=32768\nniAiRangeMax=5\nacqMnMaXaDw=0,0,1,1\nsnsMnMaXaDw=0,0,1,1\n"
NI += "nSavedChans=2\nsyncSourceIdx=2\nsyncSourcePeriod=1\nsyncNiChanType=0\nsyncNiChan=3\nsyncNiThresh=1.1\n"
NI_PPM = 100.0
RATES = {"imec0.ap": 3000.0, "nidq": 2500 * (1 + NI_PPM / 1e6)}
PULSES = 10.3 + np.arange(40)


def write_stream(
    raw: Path, stream: str, begin: float, pulses=PULSES, gate: int = 0, seconds: int = 40, **values
) -> None:
    """Write a recording of a stream from second `begin` of the run on into a folder of recordings."""
    rate = RATES[stream]
    start, samples = round(begin * rate), round(seconds * rate)
    high = np.zeros(start + samples + round(rate), bool)
    for rise in pulses:
        high[int(np.ceil(rise * rate)) : int(np.ceil((rise + 0.5) * rate))] = True
    bit = 6 if stream == "imec0.ap" else 3
    word = high[start : start + samples] * (1 << bit)
    folder = raw / f"m_g{gate}"
    folder.mkdir(parents=True, exist_ok=True)
    np.stack([np.arange(samples) % 50, word], axis=1).astype("<i2").tofile(folder / f"m_g{gate}_t0.{stream}.bin")
    said = PROBE if stream == "imec0.ap" else NI
    said += f"firstSample={start}\nfileSizeBytes={4 * samples}\n" + "".join(f"{k}={v}\n" for k, v in values.items())
    (folder / f"m_g{gate}_t0.{stream}.meta").write_text(said)


def write_analog(raw: Path, high_volts: float, glitch_volts: float = 0.0, noise: float = 0.01) -> None:
    """Write pulses on XA1 of NI, 0.2 V to `high_volts` with noise, and larger ones on XA0, 80 ms later.

    A glitch that is no pulse, 700 samples before the first one, is so high above the noise.
    """
    write_stream(raw, "nidq", 10, snsMnMaXaDw="0,0,2,0", acqMnMaXaDw="0,0,2,0", syncNiChanType=1, syncNiChan=1)
    path = raw / "m_g0/m_g0_t0.nidq.bin"
    samples = np.fromfile(path, "<i2").reshape(-1, 2)
    is_high = samples[:, 1] > 0
    volts = np.where(is_high, high_volts, 0.2) + np.random.default_rng(5).normal(0, noise, len(samples))
    volts[is_high.argmax() - 700] += glitch_volts
    samples[:, 1] = np.round(volts / 5 * 32768)
    samples[:, 0] = np.where(np.roll(is_high, 200), 30000, -30000)
    samples.tofile(path)
