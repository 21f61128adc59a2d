"""How much of Google's libraries is loaded. Each test starts a process, as this one has loaded all of them."""

import subprocess
import sys

LIBRARY = "google.ads.googleads.v26"


def python(*lines):
    """What a new process prints."""
    script = "\n".join(lines)
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)
    assert (0, "") == (ran.returncode, ran.stderr)
    return ran.stdout.splitlines()


def test_uploading_loads_no_resources_of_the_api():
    """They are most of the library, and take longer to load than two thousand conversions to send."""
    loaded = python("import sys", "import connectors.google_ads.ads_api.sink", "print(*sys.modules, sep='\\n')")

    assert f"{LIBRARY}.services.types.conversion_upload_service" in loaded
    assert [] == [name for name in loaded if name.startswith((f"{LIBRARY}.resources.types.", f"{LIBRARY}.actions"))]


def test_whatever_else_is_asked_for_is_loaded_then():
    """As if nothing had been deferred."""
    found = python(
        "import connectors.google_ads.ads_api.sink as sink",
        f"from {LIBRARY} import enums, resources",
        f"from {LIBRARY}.services.types import ClickConversion, GoogleAdsRow",
        f"import {LIBRARY}.resources as same",
        "print(GoogleAdsRow.__name__, ClickConversion is sink.ClickConversion, same is resources)",
        "print(resources.types.Customer.__name__, enums.CustomerStatusEnum.__name__)",
    )

    assert ["GoogleAdsRow True True", "Customer CustomerStatusEnum"] == found


def test_what_does_not_exist_is_said_as_python_says_it():
    """By name."""
    found = python(
        "import connectors.google_ads.ads_api",
        f"from {LIBRARY}.services import types",
        "print(hasattr(types, 'Invented'), hasattr(types, '__invented__'))",
        "try:",
        "    types.Invented",
        "except AttributeError as error:",
        "    print(error)",
    )

    assert ["False False", f"module '{LIBRARY}.services.types' has no attribute 'Invented'"] == found


def test_a_library_that_is_loaded_already_stays_as_it_is():
    """Its classes are in use."""
    found = python(
        f"from {LIBRARY}.services.types import ClickConversion as before",
        "import connectors.google_ads.ads_api.sink as sink",
        "print(before is sink.ClickConversion)",
    )

    assert ["True"] == found
