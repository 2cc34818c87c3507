"""`neuroluigi slurm`: submit the pipeline to a Slurm cluster."""

import sys
from pathlib import Path

import click

from neuroluigi.cli.pipeline import LUIGI_OPTIONS, optional_argument, pipeline_of, task_of_pipeline
from neuroluigi.cluster import slurm
from neuroluigi.steps.config import results_root, shown_path
from neuroluigi.steps.discovery import groups


@click.command("slurm", context_settings=LUIGI_OPTIONS)
@click.argument("root", metavar="[TASK]", default="")
@click.option("--groups-per-job", default=4, show_default=True, type=click.IntRange(1), help="Groups of an element.")
@click.option("--time", default="", help="Walltime of each element; it must be enough for the longest step.")
@click.option("--mem", default="", help="Memory of each element, such as 8G.")
@click.option("--cpus", default=1, show_default=True, type=click.IntRange(1), help="Steps of an element at a time.")
@click.option("--partition", default="")
@click.option("--account", default="")
@click.option("--licenses", default="", help="Licences of each element, such as matlab:1; so many Matlabs it opens.")
@click.option("--max-jobs", type=click.IntRange(1), help="Elements that run at the same time.")
@click.option(
    "--sbatch", "others", multiple=True, metavar="NAME[=VALUE]", help="Any other option of sbatch. Repeatable."
)
@click.option("--settle", default=60.0, show_default=True, help="Seconds a shared disk may take to show results.")
@click.option("--print", "only_print", is_flag=True, help="Print the scripts; submit nothing.")
@click.pass_context
def slurm_command(context, root, groups_per_job, cpus, max_jobs, others, settle, only_print, **flags):
    """Run the pipeline on a Slurm cluster: a job array over the groups that are not done, and a job for the rest.

    \b
    Example:
      neuroluigi slurm PlotAll --groups-per-job 4 --time 08:00:00 --mem 8G --cpus 4 --Edges-threshold 0.6

    TASK, by default that of luigi.cfg, comes before the options that are Luigi's. Where a node is lost or the walltime
    ends, an element is queued again and goes on; neuroluigi status says where each is. To go on after anything else,
    or to add what is new, submit again: what is done is not made again.
    """
    module, whole = context.obj
    root = optional_argument(context, root) or whole or task_of_pipeline(module, context.args)
    context.obj = module, root
    with pipeline_of(context) as root_task:
        slurm.refuse_secrets(context.args)
        results, today = results_root(), groups()
        undone, has_more = slurm.unfinished_groups(root_task)
        job = slurm.Job(
            root=root,
            words=["--module", module, *slurm.global_options(root_task, context.args)],
            lab=Path.cwd(),
            folder=slurm.next_folder(results),
            python=sys.executable,
            flags={
                **slurm.check_flags(others),
                "cpus-per-task": str(cpus),
                **{name: value for name, value in flags.items() if value},
            },
            max_jobs=max_jobs,
            settle=settle,
        )
        elements = slurm.chunks({name: slurm.size_of(today[name]) for name in undone}, groups_per_job)
        if only_print:
            scripts = [slurm.array_script(job, len(elements))] if elements else []
            click.echo("\n".join([*scripts, slurm.last_script(job)]), nl=False)
        elif not (elements or has_more):
            click.echo("Nothing to make: everything is there.")
        else:
            ids = slurm.submit(job, elements, ["neuroluigi", *sys.argv[1:]])
            what = f"{len(undone)} groups in {len(elements)} elements, then the rest" if elements else "what is left"
            click.echo(f"Submitted as Slurm job {', '.join(ids)}: {what}.\nLogs: {shown_path(job.folder)}")
