"""The screen of `jobkeep top`: draws the board, and turns keys into questions and deeds."""

from __future__ import annotations

import os
import time
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input, OptionList, Static, Tab, Tabs

from jobkeep.cli.context import Context
from jobkeep.cli.render.style import Style
from jobkeep.cli.top.acting import Done, act
from jobkeep.cli.top.board import TABS, Board, Seen, Wanted
from jobkeep.cli.top.feed import Away, Feed
from jobkeep.cli.top.rows import Rows, ansi
from jobkeep.cli.top.screens import JobScreen, Question
from jobkeep.cli.top.verbs import VERBS, Verb, keys, named, refusal

MARGINS = 3  # columns at the sides of what is shown: two, and one for a scroll bar
AWAY = "the daemon does not answer; its jobs run on. Trying again…"


def show(context: Context) -> None:
    """Until the user leaves."""
    if not context.style.colour:
        os.environ["NO_COLOR"] = "1"  # which is how textual is told
    Top(context).run()


class Top(App[None]):
    """`take` is where the feed's news arrive."""

    CSS = """
    Screen { layout: vertical; }
    #summary { height: 1; padding: 0 1; background: $panel; }
    #away { height: auto; padding: 0 1; background: $error; color: $text; display: none; }
    #head { height: 1; padding: 0 1; }
    #rows { height: 1fr; border: none; padding: 0; background: $background; scrollbar-size-vertical: 1; }
    #rows:focus { border: none; background-tint: $background 0%; }
    #rows > .option-list--option { padding: 0 1; }
    #empty { height: auto; padding: 1 1; color: $text-muted; display: none; }
    #filter { height: 1; border: none; padding: 0 1; display: none; }
    #keys { height: auto; padding: 0 1; background: $panel; }
    ToastRack { margin-bottom: 2; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),  # as of any other program
        Binding("slash", "filter", "filter"),
        Binding("escape", "leave", "back"),
        Binding("tab", "turn(1)", "next tab", priority=True),
        Binding("shift+tab", "turn(-1)", "tab before", priority=True),
        *(Binding(str(number), f"show('{tab}')", tab) for number, tab in enumerate(TABS, 1)),
        *(Binding(verb.key, f"verb('{verb.key}')", verb.name) for verb in VERBS),
    ]

    class News(Message):
        """From the feed, or from a deed."""

        def __init__(self, what: Seen | Away | Done) -> None:
            super().__init__()
            self.what = what

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._invocation = context
        self._board = Board()
        self._feed = Feed(context, self._tell)

    def compose(self) -> ComposeResult:
        yield Static(id="summary")
        yield Static(id="away")
        yield Tabs(*(Tab(tab.capitalize(), id=tab) for tab in TABS), id="tabs")
        yield Static(id="head")
        yield Static(id="empty")
        yield Rows()
        yield Input(placeholder="words that have to match", id="filter", compact=True)
        yield Static(id="keys")

    def on_mount(self) -> None:
        self.query_one(Tabs).can_focus = False
        self._rows.focus()
        self._feed.start()
        self.set_interval(1.0, self.draw)  # ages go on by themselves
        self.draw()

    def on_unmount(self) -> None:
        self._feed.stop()

    def _tell(self, what: Seen | Away | Done) -> None:
        self.post_message(self.News(what))

    @on(News)
    def _heard(self, news: News) -> None:
        """Take it, and show it."""
        what = news.what
        if isinstance(what, Done):
            hint = f"\n{what.hint}" if what.hint else ""
            self.notify(what.said + hint, severity="warning" if what.refused else "information", markup=False)
            return
        if isinstance(what, Away):
            self._board.away = what.why or AWAY
        else:
            self._board.take(what)
        self.draw()

    @property
    def _rows(self) -> Rows:
        return self.screen_stack[0].query_one(Rows)

    def style(self) -> Style:
        """Of the screen as wide as it is now."""
        style = self._invocation.style
        style.now, style.width = time.time(), max(self.size.width - MARGINS, 20)
        return style

    def draw(self) -> None:
        """All that is not as it was."""
        if not self.is_running:
            return  # it is ending: news and a tick that were due come yet, and its widgets go one after the other
        style = self.style()
        self._draw_frame(style)
        if isinstance(self.screen, JobScreen):
            self.screen.draw(self._board.detail, style)
        else:
            self._draw_rows(style)

    def _draw_frame(self, style: Style) -> None:
        board, base = self._board, self.screen_stack[0]
        for screen in self.screen_stack:
            for away in screen.query("#away").results(Static):
                away.update(Text(board.away or ""))
                away.display = board.away is not None
            for shown in screen.query("#keys").results(Static):
                shown.update(Text.from_ansi("\n".join(keys(board.job(self._rows.chosen), style))))
        above = [part for part in (board.summary(style), board.sieve(style)) if part]
        base.query_one("#summary", Static).update(ansi("   ".join(above)))
        for tab, title in board.titles().items():
            base.query_one(f"#{tab}", Tab).label = title

    def _draw_rows(self, style: Style) -> None:
        head, rows = self._board.page(style)
        base, empty = self.screen_stack[0], self.screen_stack[0].query_one("#empty", Static)
        base.query_one("#head", Static).update(ansi(head if rows else ""))
        empty.update(Text(self._board.empty()))
        empty.display = not rows  # above the list, which is never hidden: it would lose the focus
        self._rows.fill(self._board.wanted.tab, rows)

    @on(OptionList.OptionHighlighted)
    def _other_row(self) -> None:
        """Other keys may be allowed now."""
        if self.is_running:
            self._draw_frame(self.style())

    @on(OptionList.OptionSelected)
    def _open_job(self) -> None:
        """Enter: the job of the row at length."""
        id = self._board.job_behind(self._rows.chosen)
        if id is None:
            self.notify("no job has to do with it", markup=False)
            return
        self._want(Wanted(self._board.wanted.tab, id))
        self.push_screen(JobScreen())
        self.call_after_refresh(self.draw)

    def _want(self, wanted: Wanted) -> None:
        self._board.want(wanted)
        self._feed.want(wanted)

    def action_leave(self) -> None:
        """Out of the job, or out of the filter."""
        if isinstance(self.screen, JobScreen):
            self._want(Wanted(self._board.wanted.tab))
            self.pop_screen()
            self.draw()
            return
        field = self.query_one("#filter", Input)
        field.value = ""
        field.display = False
        self._rows.focus()

    def action_turn(self, step: int) -> None:
        """The next tab, or the one before; of one job, its facts or its output."""
        if isinstance(self.screen, JobScreen):
            self.screen.focus_next()
        self.action_show(TABS[(TABS.index(self._board.wanted.tab) + step) % len(TABS)])

    def action_show(self, tab: str) -> None:
        """A tab; nothing while a job is shown at length."""
        if len(self.screen_stack) == 1:
            self.query_one(Tabs).active = tab

    @on(Tabs.TabActivated)
    def _turned(self, event: Tabs.TabActivated) -> None:
        """By key or mouse."""
        self._want(Wanted(event.tab.id or TABS[0]))
        self.draw()

    def action_filter(self) -> None:
        """Write words in the line below."""
        if len(self.screen_stack) == 1:
            field = self.query_one("#filter", Input)
            field.display = True
            field.focus()

    @on(Input.Changed)
    def _sift(self, event: Input.Changed) -> None:
        """Rows go and come while one types."""
        self._board.needle = event.value
        self.draw()

    @on(Input.Submitted)
    def _sifted(self) -> None:
        """Back to the rows; the filter stays."""
        self._rows.focus()

    def action_verb(self, key: str) -> None:
        """What a key does to the job; or why it does not."""
        verb = next(verb for verb in VERBS if verb.key == key)
        job = self._board.job(self._rows.chosen)
        if job is None:
            self.notify("that is for jobs: enter shows the job of a row, if it has one", markup=False)
        elif self._board.away is not None:
            self.notify("the daemon does not answer", severity="warning", markup=False)
        elif (why := refusal(job, verb)) is not None:
            self.notify(f"{verb.name}: {why}", severity="warning", markup=False)
        elif verb.question:
            words = verb.question.format(named(job, self._invocation.style))
            self.push_screen(Question(words), lambda yes: self._do(job, verb) if yes else None)
        else:
            self._do(job, verb)

    def _do(self, job: dict[str, Any], verb: Verb) -> None:
        act(self._invocation, job, verb, self._tell)
