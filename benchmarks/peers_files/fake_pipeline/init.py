"""The groups of the fake pipeline, as jobs of signac."""

import fake_steps
import signac

project = signac.init_project()
for session in fake_steps.SESSIONS:
    for parity in fake_steps.PARITIES:
        project.open_job({"session": session, "parity": parity}).init()
