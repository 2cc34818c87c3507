"""Traces: the samples of a group against time, with the events that a step found."""

from neuroluigi.ephys.picture import Picture, events_name, events_of
from neuroluigi.signals import traces


class Traces(Picture):
    """The group's samples against time, in their units, with the events of a step where it requires one.

    Requires {"aggregate": an Aggregate}, and "events": a step that makes a table of events, "aligned": an Aligned of
    its session, for time on the clock of that. Makes traces.png, or with events spikes_traces.png and the like.
    """

    def output(self):
        required = self.requires()
        name = f"{events_name(required['events'].output())}_traces" if "events" in required else "traces"
        return self.picture(name)

    def make(self, out):
        events = self.requires().get("events")
        traces.plot_traces(
            out,
            title=self.group,
            aggregate_file=self.input()["aggregate"]["layout"].path,
            events=events_of(events) if events else None,
            made_by=events.made_by() if events else "",
            channels=self.channels,
            window=self.window,
            bad=self.bad_channels(),
            clock=self.clock(),
        )
