"""Trivial groups for signac-flow."""

from pathlib import Path

from flow import FlowProject


class Project(FlowProject):
    pass


@Project.post.isfile("nothing.txt")
@Project.operation
def nothing(job):
    Path(job.fn("nothing.txt")).write_text(".")


if __name__ == "__main__":
    Project().main()
