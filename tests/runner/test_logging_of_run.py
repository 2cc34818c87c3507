"""What is logged in a run within another process."""

import logging

from luigi.setup_logging import InterfaceLogging

from neuroluigi.runner.logging_of_run import own_logging

LOGGER = logging.getLogger("luigi-interface")


def test_no_handler_of_the_process_gets_a_line(caplog, capfd):
    before = LOGGER.level, list(LOGGER.handlers), LOGGER.propagate, InterfaceLogging._configured
    with own_logging():
        assert InterfaceLogging.setup() is False and LOGGER.isEnabledFor(logging.INFO)
        LOGGER.error("a failure")
    assert (LOGGER.level, list(LOGGER.handlers), LOGGER.propagate, InterfaceLogging._configured) == before
    assert caplog.records == [] and capfd.readouterr() == ("", "")
