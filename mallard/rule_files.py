"""Read the files of the rules: seeds line by line, and the variables of dbt_project.yml with their lines."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from mallard.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: in which file, line (None: the file as a whole) and column, and how to mend it."""

    file: str
    line: int | None
    column: str
    expected: str
    found: str
    mend: str = ""

    @property
    def where(self) -> str:
        """The place as a person looks for it."""
        line = "" if self.line is None else f", line {self.line}"
        return self.file + line + (f", {self.column}" if self.column else "")


@dataclass(frozen=True)
class Lines:
    """The lines of a seed that have all fields: where each begins, and its texts in the order of ``columns``.

    An empty field is None. What is wrong with the other lines, or with the header, is in ``problems``.
    """

    lines: list[int]
    rows: list[list[str | None]]
    problems: list[Problem]


def read_csv(path: Path, place: str, columns: Collection[str]) -> Lines:
    """Read a seed; ``place`` is what its file is called in messages, ``columns`` what it should hold."""
    read = Lines([], [], [])
    read.problems.extend(_read_csv(path, place, columns, read))
    return read


def _read_csv(path: Path, place: str, columns: Collection[str], read: Lines) -> Iterator[Problem]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02X}"
        yield Problem(place, line, "", "text in UTF-8", found, "save the file as CSV in UTF-8")
        text = content.decode("utf-8-sig", errors="replace")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    begins = 1
    try:
        for fields in reader:
            if begins == 1:
                header = fields
                yield from _check_header(place, columns, header)
                if sorted(header) != sorted(columns):
                    return
            elif len(fields) == len(header):
                cells = dict(zip(header, fields, strict=True))
                read.lines.append(begins)
                read.rows.append([cells[column] or None for column in columns])
            elif fields:
                found = f"{len(fields)}: {','.join(fields)}"
                mend = "put quotes around a value that holds a comma"
                yield Problem(place, begins, "", f"{len(header)} fields", found, mend)
            else:
                yield Problem(place, begins, "", "a rule", "an empty line", "remove the line")
            begins = reader.line_num + 1
    except csv.Error as error:
        mend = 'close the quotes; a quote within quotes is written twice: ""'
        yield Problem(place, begins, "", "quotes that are closed", str(error), mend)
    if begins == 1:
        expected = "the columns " + ",".join(columns)
        yield Problem(place, 1, "", expected, "an empty file", "put the header back")


def _check_header(place: str, columns: Collection[str], header: list[str]) -> Iterator[Problem]:
    expected = "the columns " + ",".join(columns)
    for name in dict.fromkeys(header):
        if ";" in name or "\t" in name:
            mend = "save the file as CSV with commas between the fields"
            yield Problem(place, 1, "", expected, name, mend)
            return
        if name not in columns:
            mend = closest(name, columns) or "remove it, or describe it in the seed's yml"
            yield Problem(place, 1, "", expected, f"the unknown column {name!r}", mend)
        elif header.count(name) > 1:
            yield Problem(place, 1, "", expected, f"the column {name} twice", "remove one of them")
    for name in columns:
        if name not in header:
            yield Problem(place, 1, "", expected, f"no column {name}", "put the column back")


def read_variables(project: Path) -> dict[str, tuple[int, bool, list[tuple[int, Any]]]]:
    """The variables of dbt_project.yml: line, whether it is a list, and each value with its line.

    Raises:
        SettingsError: the file is no YAML.
    """
    import yaml

    file = project / "dbt_project.yml"
    loader = yaml.SafeLoader(file.read_text(encoding="utf-8"))
    with _told_as_a_rule(project, file):
        document = loader.get_single_node()
    top = {key.value: node for key, node in document.value} if document else {}
    found: dict[str, tuple[int, bool, list[tuple[int, Any]]]] = {}
    pairs = top["vars"].value if isinstance(top.get("vars"), yaml.MappingNode) else []
    for key, node in pairs:
        is_list = isinstance(node, yaml.SequenceNode)
        items = [
            (item.start_mark.line + 1, loader.construct_object(item, deep=True))
            for item in (node.value if is_list else [node])
        ]
        found[key.value] = (key.start_mark.line + 1, is_list, items)
    return found


def read_yaml(project: Path, file: Path) -> dict[str, Any]:
    """A file of mappings.

    Raises:
        SettingsError: it is no YAML; the message names the line.
    """
    import yaml

    with _told_as_a_rule(project, file):
        return dict(yaml.load(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {})  # noqa: S506


@contextmanager
def _told_as_a_rule(project: Path, file: Path) -> Iterator[None]:
    import yaml

    try:
        yield
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SettingsError(
            "The rules cannot be read; nothing was built, and what is published stays.",
            where=place_of(project, file) + line,
            expected="YAML",
            found=str(error.problem),
            mend="correct the line and run it again",
        ) from error


def closest(name: str, names: Iterable[str]) -> str:
    """The name that was meant, told as what to do; empty where none is near."""
    close = get_close_matches(name, list(names), n=1)
    return f"write {close[0]}" if close else ""


def place_of(project: Path, file: Path) -> str:
    """What a file of the dbt project is called in messages."""
    return f"dbt_project/{file.relative_to(project)}"
