"""A session restored beside itself: what is recovered of it as a new session, which leaves the old one as it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace

from hermes_rescue.core.audit.elsewhere import copies_apart
from hermes_rescue.core.audit.session import merge_session
from hermes_rescue.core.audit.workers import Progress
from hermes_rescue.core.base import files
from hermes_rescue.core.base.errors import UnknownSessionError
from hermes_rescue.core.base.progress import Steps
from hermes_rescue.core.hermes import sidecar
from hermes_rescue.core.hermes.copies import SessionCopies
from hermes_rescue.core.hermes.inventory import Inventory
from hermes_rescue.core.hermes.sidecar import Sidecar
from hermes_rescue.core.hermes.store import Store
from hermes_rescue.core.hermes.webui_status import webui_status
from hermes_rescue.core.merge.choices import Choices
from hermes_rescue.core.merge.proposal import Proposal
from hermes_rescue.core.merge.sidecar_copies import session_of
from hermes_rescue.core.repair.plan import Plan, interrupted_runs, problem_of, unfulfilled
from hermes_rescue.core.repair.planned import Done, PlannedSession

_TAKEN_OVER = (
    "workspace", "created_workspace", "model", "model_provider", "created_at", "updated_at", "pinned", "project_id",
    "profile", "input_tokens", "output_tokens", "estimated_cost", "cache_read_tokens", "cache_write_tokens",
    "personality", "compression_anchor_visible_idx", "compression_anchor_message_key", "compression_anchor_summary",
    "compression_anchor_engine", "compression_anchor_mode", "compression_anchor_details", "context_length",
    "threshold_tokens", "last_prompt_tokens", "enabled_toolsets", "anchor_scene_index", "tool_calls",
    "anchor_activity_scenes", "context_messages",
)  # fmt: skip
"""The fields that belong to a conversation. The others belong to one session: its worktree, what runs in it, what was
taken back in it, where it came from and whom it was shared with.
"""


def copy_plan(
    store: Store,
    session_id: str,
    choices: Choices | None = None,
    *,
    progress: Progress | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Plan:
    """What restoring a session under a new id would do; writes nothing. Naming it answers its questions, as in
    :func:`core.repair.plan.plan`, which also says what is raised and refused.
    """
    webui = webui_status(store)
    decided = choices or Choices()
    if not decided.are_about_messages:
        decided = replace(decided, answer_questions=True)
    steps = Steps((lambda done: progress(done, 1)) if progress is not None else None, should_cancel)
    with Inventory(store, only=frozenset((session_id,))) as inventory:
        if session_id not in inventory.session_ids():
            raise UnknownSessionError((session_id,), store.sessions_dir)
        copies, proposal = merge_session(inventory, webui, session_id, decided, steps=steps)
        whole = frozenset(database.path for database in inventory.databases if database.is_known)
        has_list = inventory.listing.index.digest is not None
    made = copied(copies, proposal, uuid.uuid4().hex[:12])  # an id as the WebUI makes them
    refusal = unfulfilled(decided, proposal) or (None if made is not None else "Nothing of this session is recovered.")
    planned = None
    if made is not None and refusal is None:
        data = sidecar.serialise(made)
        refusal = problem_of(sidecar.parse(data), made, steps)
        planned = PlannedSession(
            str(made.get("session_id")), str(made.get("title")), (), None, files.digest_of(data), None,
            len(made.messages), 0, 0, len(data), False, 0, proposal.chosen, session_id,
            apart=copies_apart(proposal.gained),
        )  # fmt: skip
    return Plan(
        store,
        webui,
        (planned,) if planned is not None and refusal is None else (),
        {session_id: refusal} if refusal else {},
        False,
        {session_id: decided},
        unfinished=tuple(run.run_id for run in interrupted_runs(store)),
        databases=whole,
        has_list=has_list,
        done=Done.RESTORED,
    )


def copied(copies: SessionCopies, proposal: Proposal, new_id: str) -> Sidecar | None:
    """What is recovered of a session as a session of its own; None where that is nothing."""
    recovered = proposal.sidecar or session_of(copies.live)
    if recovered is None or not recovered.messages:
        return None
    fields = {name: recovered.get(name) for name in _TAKEN_OVER if name in recovered.head}
    if fields.get("workspace") and fields["workspace"] == recovered.get("worktree_path"):
        fields["workspace"] = recovered.get("worktree_repo_root") or fields["workspace"]
    title = recovered.get("title")
    title = f"{title if isinstance(title, str) and title else 'Untitled'} (restored copy)"
    return sidecar.new(new_id, fields | {"title": title, "manual_title": True}, recovered.messages)
