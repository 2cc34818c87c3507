"""Settings that all pictures share: [Plot] of luigi.cfg says what the section of a step does not."""

import numpy as np


def test_a_setting_of_plot_is_that_of_every_picture_but_for_those_that_have_their_own(pipeline):
    folder = pipeline.folder / "raw" / "s"
    folder.mkdir(parents=True)
    np.random.default_rng(0).integers(-99, 99, 4000, "int16").tofile(folder / "rec_0.bin")
    settings = ("--recordings-root", "raw", "--recordings-dtype", "int16", "--recordings-sampling-rate-hz", "1000")
    config = pipeline.folder / "luigi.cfg"
    config.write_text(config.read_text().replace("format = png", "format = svg") + "\n[Spectrum]\nformat = pdf\n")
    for step in ("Plot", "Traces", "Spectrum"):
        pipeline.run(step, "--group", "s", *settings, "--matlab-engine", "numpy")
    made = {path.name for path in (pipeline.results / "s").iterdir()}
    assert {"plot.svg", "traces.svg", "spectrum.pdf"} <= made
    pipeline.run("Traces", "--group", "s", *settings, "--matlab-engine", "numpy", "--Plot-format", "png")
    assert (pipeline.results / "s" / "traces.png").exists()


def test_bad_channels_are_in_no_picture_and_make_it_anew(pipeline):
    folder = pipeline.folder / "raw" / "s"
    folder.mkdir(parents=True)
    np.random.default_rng(0).integers(-99, 99, (4000, 3), "int16").tofile(folder / "rec_0.bin")
    settings = ["--recordings-root", "raw", "--recordings-dtype", "int16", "--recordings-channels", "3"]
    settings += ["--recordings-sampling-rate-hz", "1000", "--matlab-engine", "numpy", "--Plot-format", "svg"]
    steps = {"Plot": "plot.svg", "Traces": "traces.svg", "Spectrum": "spectrum.svg"}
    for step, name in steps.items():
        pipeline.run(step, "--group", "s", *settings)
        assert "left out" not in (pipeline.results / "s" / name).read_text()
        pipeline.run(step, "--group", "s", *settings, "--recordings-bad-channels", "1, 7")
        text = (pipeline.results / "s" / name).read_text()
        assert "bad, and left out: channel (1)" in text and "channel 1<" not in text
        assert "Nothing to make" in pipeline.run(step, "--group", "s", *settings, "--recordings-bad-channels", "1, 7")
