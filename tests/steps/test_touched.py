"""Which tasks a variant touches."""

import luigi
import pytest

from neuroluigi.steps.spawn import CarriesSettings
from neuroluigi.steps.touched import is_touched, variant_of
from neuroluigi.steps.variants import in_force


class Link(CarriesSettings):
    """A chain, which requires the one before; of two it requires both."""

    number = luigi.IntParameter()
    several = luigi.BoolParameter(default=False)

    def requires(self):
        before = [Link(self.number - 1, self.several)] if self.number else [Start()]
        return [*before, Link(max(self.number - 2, 0), self.several)] if self.several and self.number else before


class Start(CarriesSettings):
    size = luigi.IntParameter(default=1)


class Beside(CarriesSettings):
    def requires(self):
        return Around()


class Around(CarriesSettings):
    def requires(self):
        return Beside()


@pytest.fixture
def big():
    """A variant of the first of a chain is in force."""
    config = luigi.configuration.get_config()
    config.read_string("[variants]\nbig = Start.size=5\n")
    with in_force("big"):
        yield
    config.remove_section("variants")


def test_all_that_requires_it_is_touched_however_long_the_chain(big):
    last = Link(1500)
    assert is_touched(last) and variant_of(last) == "big"
    assert last.task_id == f"{last.id_in_base}_big"
    assert Start().size == 5


def test_many_ways_to_it_are_one(big):
    assert is_touched(Link(300, True))


def test_what_requires_none_of_them_is_shared(big):
    alone = Beside()
    # A circle is found by the plan.
    assert not is_touched(alone) and variant_of(alone) == "" and alone.task_id == alone.id_in_base


def test_those_of_the_base_and_of_a_variant_are_different_tasks(big):
    own = Start()
    with in_force(""):
        base = Start()
        assert (base.size, base.task_id) == (1, base.id_in_base)
        assert base != own
    assert own.size == 5 and own == Start()
