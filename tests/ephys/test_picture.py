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
