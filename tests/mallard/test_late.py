"""What is imported late or not at all is not loaded before it is used, and is the real thing then."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import ClassVar

import pytest
from pydantic import v1

from mallard.late import shared_fields, uncollected

# What every model of pydantic's first API makes of its fields, once Great Expectations is imported.
_FIELDS = """
import re
from contextlib import nullcontext
from pydantic import v1
from mallard.late import shared_fields

def models(of):
    return [one for child in of.__subclasses__() for one in (child, *models(child))]

def told(field):
    steps = (field.validators, field.pre_validators, field.post_validators)
    names = [[getattr(one, "__qualname__", "") for one in step or []] for step in steps]
    parts = [told(one) for one in field.sub_fields or []]
    text = (field, field.field_info, field.outer_type_, field.annotation, field.model_config)
    return re.sub("0x[0-9a-f]+", "", repr(text)), sorted(field.class_validators), names, parts

with {context}():
    import great_expectations
for model in models(v1.BaseModel):
    print(model.__module__, model.__qualname__, {{name: told(one) for name, one in model.__fields__.items()}})
"""


def run(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_module_loads_when_it_is_used() -> None:
    run(
        "import sys\n"
        "from mallard.late import import_later\n"
        "import_later('xmlrpc.client')\n"
        "from xmlrpc import client as late\n"
        "assert 'http.client' not in sys.modules\n"
        "assert late.loads(late.dumps((1,)))[0] == (1,)\n"
        "assert 'http.client' in sys.modules\n"
        "import_later('no_such_module'); import_later('json')\n"
    )


def test_module_loads_when_it_is_used_by_its_whole_name() -> None:
    run(
        "import sys\n"
        "from mallard.late import import_later\n"
        "import_later('wave')\n"
        "import wave as late\n"
        "later = sys.modules['wave']\n"
        "assert vars(later).get('Wave_read') is None\n"
        "assert late.Error.__module__ == 'wave'\n"
        "assert sys.modules['wave'] is not later\n"
        "import wave\n"
        "assert wave.Error is late.Error\n"
    )


def test_library_is_missing_while_another_is_imported_and_there_afterwards() -> None:
    run(
        "import sys\n"
        "from mallard.late import without\n"
        "try:\n"
        "    with without('wave'):\n"
        "        import wave\n"
        "except ImportError:\n"
        "    pass\n"
        "else:\n"
        "    raise AssertionError('it was found')\n"
        "import wave\n"
        "with without('wave'):\n"
        "    import wave as loaded\n"
        "assert loaded is wave is sys.modules['wave']\n"
    )


def test_gate_judges_without_loading_what_it_does_not_use() -> None:
    run(
        "import sys\n"
        "from expectations.judge import Judge\n"
        "from expectations.registry import read_suites\n"
        "(suite,) = [one for one in read_suites() if one.name == 'drift']\n"
        "judged = Judge().judge('drift', suite.checks, {check.name: 0.0 for check in suite.checks})\n"
        "assert all(one.is_met for one in judged.values())\n"
        "assert 'scipy.stats._continuous_distns' not in sys.modules\n"
        "assert 'altair.vegalite' not in sys.modules\n"
        "assert not {'jsonschema.validators', 'mistune.markdown', 'sqlalchemy'} & sys.modules.keys()\n"
        "from scipy import stats\n"
        "assert round(stats.norm.cdf(1.96), 3) == 0.975\n"
    )


def test_great_expectations_fields_are_the_same_shared() -> None:
    shared, copied = (run(_FIELDS.format(context=context)) for context in ("shared_fields", "nullcontext"))
    assert "ExpectColumnMaxToBeBetween" in shared
    assert shared == copied


def test_model_changes_no_field_of_its_base() -> None:
    with shared_fields():

        class Base(v1.BaseModel):
            name: str = v1.Field("a", max_length=9)

        class Child(Base):
            class Config:
                fields: ClassVar = {"name": {"alias": "title"}}

            @v1.validator("name")
            def is_short(cls, name: str) -> str:
                if len(name) > 1:
                    raise ValueError("too long")
                return name

    assert Base(name="long").name == "long"
    assert Base.schema()["properties"].keys() == {"name"}
    assert Base.__fields__["name"].field_info.alias is None
    assert Child(title="b").name == "b"
    with pytest.raises(v1.ValidationError, match="too long"):
        Child(title="long")
    with pytest.raises(v1.ValidationError, match="at most 9"):
        Child(title="much too long")


def test_garbage_of_before_is_collected_afterwards() -> None:
    with uncollected():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0
