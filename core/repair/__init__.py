"""The only room that changes a store: plan, apply, undo, and the vault."""
