"""The fake pipeline for signac-flow: every file of a group in the folder of its job."""

import fake_steps
from flow import FlowProject


class Project(FlowProject):
    pass


def recordings(job) -> list[str]:
    return [f"rec_{index}.bin" for index in fake_steps.indices(job.sp.parity)]


@Project.post(lambda job: all(map(job.isfile, recordings(job))))
@Project.operation
def record(job):
    for index, name in zip(fake_steps.indices(job.sp.parity), recordings(job), strict=True):
        fake_steps.make_recording(job.sp.session, index, job.fn(name))


@Project.pre.after(record)
@Project.post.isfile("aggregate.bin")
@Project.operation
def aggregate(job):
    fake_steps.concatenate([job.fn(name) for name in recordings(job)], job.fn("aggregate.bin"))


@Project.pre.after(aggregate)
@Project.post.isfile("stats.json")
@Project.operation
def stats(job):
    fake_steps.compute_stats(job.fn("aggregate.bin"), job.fn("stats.json"))


@Project.pre.after(stats)
@Project.post.isfile("edges.npy")
@Project.operation
def edges(job):
    fake_steps.find_edges(job.fn("aggregate.bin"), job.fn("stats.json"), job.fn("edges.npy"))


@Project.pre.after(edges)
@Project.post.isfile("plot.png")
@Project.operation
def plot(job):
    files = [job.fn(name) for name in ("aggregate.bin", "stats.json", "edges.npy", "plot.png")]
    fake_steps.plot(job.sp.session, job.sp.parity, *files)


if __name__ == "__main__":
    Project().main()
