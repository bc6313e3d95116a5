"""What the server of warm.py has loaded of this project: modules of which pytest loads none itself, nor rewrites any.

Plugins, observations and checks a run loads itself, or it would be another one; tests/test_warm.py sees to it.
"""

import gc
import importlib

from jinja2 import meta

from reports.html import _environment

MODULES = [
    "fixtures.api_server",
    "fixtures.canary.alerts",
    "fixtures.canary.logs",
    "fixtures.canary.share",
    "fixtures.drills.failures",
    "fixtures.drills.fault_server",
    "fixtures.drills.pointing",
    "fixtures.drills.records",
    "fixtures.loading",
    "fixtures.markdown",
    "fixtures.notifications.telling",
    "fixtures.sandbox.running",
    "fixtures.undo.seeing",
    "plugins.looking",
    "plugins.opening",
    "plugins.recording",
    "reports.build",
    "reports.text",
]


def compiled(template: str) -> None:
    """Compile it and those that it imports: their environment keeps them."""
    environment = _environment()
    environment.get_template(template)
    source = environment.loader.get_source(environment, template)[0] if environment.loader else ""
    for name in meta.find_referenced_templates(environment.parse(source)):
        compiled(str(name))


for module in MODULES:
    importlib.import_module(module)
compiled("report.html.j2")
gc.freeze()  # nobody looks for garbage in all this again
