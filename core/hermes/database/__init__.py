"""The agent's database: its rows, and what of them is one conversation, each message once."""
