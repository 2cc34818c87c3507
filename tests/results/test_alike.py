"""What is wrong in several groups for one cause."""

from neuroluigi.recordings.groups import find_groups
from neuroluigi.recordings.recording import Declaration
from neuroluigi.results.alike import names_in, problem_lines


def found(root, rows):
    (root / "recordings.csv").write_text("\n".join(["session,index,path", *rows]))
    return find_groups(Declaration(root=str(root)))


def test_a_problem_of_one_group_is_said_of_that(tmp_path):
    (tmp_path / "b.bin").write_bytes(bytes(10))
    groups = found(tmp_path, ["a,0,gone.bin", "b,0,b.bin"])
    (line,) = problem_lines(groups)
    assert line == f"problem in a: {groups['a'].problems[0]}" and "gone.bin" in line
    assert problem_lines(groups, {"b"}) == []


def test_problems_that_differ_in_names_alone_are_said_once(tmp_path):
    groups = found(
        tmp_path, [*(f"s{n},0,day {n}/gone.bin" for n in range(7)), "t,0,left.bin", "t,1,right.bin", "u,x,c.bin"]
    )
    alike, other = problem_lines(groups)
    first = groups["s0"].problems[0]
    # Two of one group are two problems.
    assert alike == f"9 problems in 8 groups (s0, s1, s2, s3, s4 and 3 more), the first: {first}"
    assert other == f"problem in u: {groups['u'].problems[0]}" and "'x' is not" in other
    assert problem_lines(groups, {"s1", "s2"}) == [
        f"the same problem in 2 groups (s1, s2), the first: {groups['s1'].problems[0]}"
    ]
    assert problem_lines(groups, {"t"})[0].startswith("2 problems in t, the first: ")


def test_other_numbers_are_another_cause(tmp_path):
    for name, size in (("a", 3), ("b", 5), ("c", 3)):
        (tmp_path / f"{name}.bin").write_bytes(bytes(size))
    (tmp_path / "recordings.csv").write_text(
        "session,index,path,dtype\na,0,a.bin,int16\nb,0,b.bin,int32\nc,0,c.bin,int16\n"
    )
    lines = problem_lines(find_groups(Declaration(root=str(tmp_path))))
    assert [line.partition(",")[0].partition(":")[0] for line in lines] == [
        "the same problem in 2 groups (a",
        "problem in b",
    ]


def test_names_are_those_of_the_group_and_its_recordings(tmp_path):
    names = names_in(found(tmp_path, ["session,0,x/gone.bin"])["session"])
    text = f"{tmp_path}/recordings.csv, row 2: a session: {tmp_path}/x/gone.log of x/gone.bin, row 23"
    assert names.sub("…", text) == "…: a …: ….log of ….bin, row 23"
    assert names_in(None).sub("…", text) == text
