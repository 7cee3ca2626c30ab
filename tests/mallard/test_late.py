"""What is imported late or not at all is not loaded before it is used, and is the real thing then."""

from __future__ import annotations

import subprocess
import sys


def run(code: str) -> None:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


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
