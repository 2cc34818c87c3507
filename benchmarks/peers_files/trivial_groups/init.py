"""Trivial groups, as jobs of signac."""

import os

import signac

project = signac.init_project()
for number in range(int(os.environ["GROUPS_OF_PEERS"])):
    project.open_job({"group": f"g{number}"}).init()
