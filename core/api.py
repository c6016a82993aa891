"""The engine's public functions, for the fronts and for other programs.

from hermes_rescue.core import api

store = api.find_store()
for session in api.audit(store).sessions:
    print(session.title, [finding.kind.name for finding in session.findings])
result = api.apply(api.plan(store))

docs/embedding.md says more.
"""

from hermes_rescue.core.audit.store_audit import audit
from hermes_rescue.core.base.errors import RescueError
from hermes_rescue.core.base.progress import Cancelled
from hermes_rescue.core.hermes.store import Store, find_store
from hermes_rescue.core.repair.apply import apply, undo, undoable
from hermes_rescue.core.repair.as_copy import copy_plan
from hermes_rescue.core.repair.importing import import_plan
from hermes_rescue.core.repair.leave import leave, take_back_leave
from hermes_rescue.core.repair.outcomes import Outcome, Result, RunBrokenError, State
from hermes_rescue.core.repair.plan import Plan, interrupted_runs, plan
from hermes_rescue.core.repair.planned import Done

__all__ = [
    "Cancelled",
    "Done",
    "Outcome",
    "Plan",
    "RescueError",
    "Result",
    "RunBrokenError",
    "State",
    "Store",
    "apply",
    "audit",
    "copy_plan",
    "find_store",
    "import_plan",
    "interrupted_runs",
    "leave",
    "plan",
    "take_back_leave",
    "undo",
    "undoable",
]
