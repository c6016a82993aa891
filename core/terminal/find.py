"""The command ``find`` of the terminal front."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from hermes_rescue.core.terminal.call import Call, on_a_store
from hermes_rescue.core.terminal.commands import (
    NOTHING_LEFT,
    REMAINS,
    _view,
    app,
    json_option,
)

if TYPE_CHECKING:
    from hermes_rescue.core.search.session_search import SessionHits
    from hermes_rescue.core.search.store_search import Unread


@app.command()
@click.argument(
    "words",
    nargs=-1,
    required=True,
    metavar="WORDS...",
    help='All have to be in one message; "two words" are a phrase.',
)
@click.option("--regex", is_flag=True, help="Take WORDS as one regular expression; that takes longer.")
@json_option
@on_a_store
def find(call: Call, *, words: tuple[str, ...], regex: bool, as_json: bool) -> int:
    """Search in titles and messages, in every copy: also what is lost, left out or deleted. Changes nothing.

    Exit status: 0 something was found, 1 nothing.
    """
    from hermes_rescue.core.report.report import SCHEMA_VERSION, json_of
    from hermes_rescue.core.search.query import Query, QueryError
    from hermes_rescue.core.search.session_search import SessionHits
    from hermes_rescue.core.search.store_search import search

    try:
        query = Query.of_pattern(" ".join(words)) if regex else Query.of_words(words)
    except QueryError as error:
        raise click.BadParameter(str(error)) from None
    store, view = call.find_store(), _view(call)
    found: Counter[str] = Counter()
    unread: list[Unread] = []
    is_complete = False
    with view.progress("Searching") as progress:
        if as_json:
            print(f'{{"schema_version": {SCHEMA_VERSION}, "sessions": [', end="")
        try:
            for batch in search(store, query, progress=progress):
                with view.beside_the_bar() if batch else nullcontext():
                    for each in batch:
                        if not isinstance(each, SessionHits):
                            unread.append(each)
                            continue
                        if as_json:
                            print("," if found else "", json_of(_facts(each)), sep="\n", end="", flush=True)
                        else:
                            view.found(each)
                        found.update(sessions=1, hits=each.count)
            is_complete = True
        finally:
            if as_json:  # it is JSON also where somebody stops it
                with view.beside_the_bar():
                    print(f'\n], "not_searched": {json_of([*map(asdict, unread)])}, ', end="")
                    print(f'"is_complete": {json_of(is_complete)}}}')
    if not as_json:
        view.searched(found["sessions"], found["hits"], unread)
    return NOTHING_LEFT if found else REMAINS


def _facts(found: SessionHits) -> dict[str, Any]:
    return {
        "session_id": found.session_id,
        "title": found.title,
        "updated": found.updated,
        "program": found.program,
        "count": found.count,
        "counts": dict(found.counts),
        "hits": [*map(asdict, found.hits)],
    }
