"""HTML by construction: text is escaped unless it was built here, so no column or label name can become markup."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

VOID = {"img", "meta"}


class Html(str):
    """Markup that is safe to put into a page as it is. Made by `element` and `join` only."""

    __slots__ = ()


def join(parts: Iterable[str]) -> Html:
    """Parts one after the other; plain text is escaped."""
    return Html("".join(part if isinstance(part, Html) else html.escape(str(part)) for part in parts))


def element(name: str, /, *children: str, **attributes: str) -> Html:
    """``<name attribute="...">children</name>``; a trailing underscore of an attribute is dropped (`class_`)."""
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}>{join(children)}</{name}>")


def table(header: Sequence[Any], rows: Iterable[Sequence[Any]], *, row_headers: bool = True) -> Html:
    """A table that scrolls sideways on a narrow screen. Cells are text, numbers or markup."""
    head = element("thead", element("tr", *(element("th", cell(h), scope="col") for h in header)))
    return element(
        "div", element("table", head, element("tbody", *(_row(r, row_headers) for r in rows))), class_="wide"
    )


def _row(cells: Sequence[Any], row_headers: bool) -> Html:
    first = element("th", cell(cells[0]), scope="row") if row_headers else element("td", cell(cells[0]))
    return element("tr", first, *(element("td", cell(c)) for c in cells[1:]))


def cell(value: Any) -> str:
    """Markup and text as they are, numbers readable."""
    return value if isinstance(value, str) else number(value)


def number(value: Any) -> str:
    """Four significant digits; "undefined" for what is not a number, "yes" and "no", "-" for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "undefined"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4f}" if abs(value) < 1 else f"{value:.5g}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.3g}"


CSS = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6675; --page: #f6f7f9; --card: #ffffff; --line: #dfe3e8;
  --mark: #0b6e4f; --tint: #e4f4ee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --page: #14181f; --card: #1d232c;
  --line: #323b47; --mark: #5fd3a8; --tint: #173a2f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 70rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; margin: 0; } h2 { margin: 2.5rem 0 .5rem; font-size: 1.3rem; } h3 { margin: 1.5rem 0 .25rem; }
p { margin: .4rem 0; max-width: 48rem; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
.caution { border-left: .3rem solid #c8791c; padding: .5rem .75rem; font-weight: 600; }
.cards { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 11rem), 1fr)); margin: 1rem 0; }
.card, figure { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin: 0; }
.card b { display: block; font-size: 1.6rem; line-height: 1.3; }
.figures { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); margin: 1rem 0;
  align-items: start; }
figure h3 { margin-top: .25rem; }
figure img { display: block; width: 100%; height: auto; background: #ffffff; border-radius: .25rem; }
.wide { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { text-align: right; padding: .3rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th[scope=row], thead th:first-child, .text td { text-align: left; } .text td { white-space: normal; }
.best { color: var(--mark); font-weight: 600; background: var(--tint); border-radius: .25rem; padding: 0 .3rem; }
.passage { white-space: pre-wrap; unicode-bidi: isolate; } .passage b { color: var(--soft); font-weight: 600; }
mark { color: inherit; background: none; border-radius: .15rem; padding: 0 .08em; }
.up { border-bottom: 2px solid #2166ac; } .down { border-bottom: 2px dashed #b35806; }
.up.level-1 { background: rgb(33 102 172 / .10); } .up.level-2 { background: rgb(33 102 172 / .25); }
.up.level-3 { background: rgb(33 102 172 / .40); } .up.level-4 { background: rgb(33 102 172 / .55); }
.down.level-1 { background: rgb(230 126 34 / .12); } .down.level-2 { background: rgb(230 126 34 / .30); }
.down.level-3 { background: rgb(230 126 34 / .48); } .down.level-4 { background: rgb(230 126 34 / .66); }
details { margin: .4rem 0; } summary { cursor: pointer; color: var(--soft); }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem;
  font-size: .85rem; }
"""


def page(title: str, *body: str) -> str:
    """A whole document that needs nothing else and, by its policy, can load nothing else and run nothing."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(CSS)),
    )
    return "<!doctype html>\n" + element("html", head, element("body", *body), lang="en") + "\n"
