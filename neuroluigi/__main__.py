"""`python -m neuroluigi` is the command `neuroluigi`, also where no script of it is on PATH."""

from neuroluigi.cli.main import main

main(prog_name="neuroluigi")
