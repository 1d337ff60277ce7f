"""`actors explain CODE`: what an error code means, what causes it, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from actors.console.options import Json

if TYPE_CHECKING:
    from actors.console.codes import CodePage


async def explain(
    code: Annotated[str | None, Parameter(help="The code, such as node_down; all are listed if left out.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """Explain a code of an error, an outcome or a problem."""
    from actors.console.codes import pages
    from actors.console.envelope import good
    from actors.console.words import Column, show, write

    if code is not None:
        page = find_page(code)
        return write(good({"page": page}) if json else as_text(page).encode())
    if json:
        return write(good({"pages": list(pages().values())}))
    show([Column("code"), Column("meaning")], [(page.code, page.meaning) for page in pages().values()])
    return None


def find_page(code: str) -> CodePage:
    """UsageError, with a guess, for a code that there is not."""
    from difflib import get_close_matches

    from actors.console.codes import pages
    from actors.console.exits import UsageError

    found = pages().get(code)
    if found is None:
        error = UsageError(f"there is no code {code!r}")
        near = get_close_matches(code, list(pages()), 1)
        error.hint = f"actors explain {near[0]}" if near else "actors explain lists them"
        raise error
    return found


def as_text(page: CodePage) -> str:
    """For people."""
    lines = [page.code, f"  {page.meaning}", ""]
    for title, items in (("causes", page.causes), ("what to do", page.actions)):
        lines += [f"  {title}:", *(f"    - {item}" for item in items)]
    return "\n".join(lines) + "\n"
