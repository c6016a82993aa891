CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT NOT NULL, title TEXT, model TEXT, cwd TEXT,
    parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL, end_reason TEXT, message_count INTEGER DEFAULT 0,
    profile_name TEXT, archived INTEGER NOT NULL DEFAULT 0);
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id), role TEXT NOT NULL,
    content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL, finish_reason TEXT, reasoning TEXT,
    active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT);
INSERT INTO sessions (id, source, title, model, cwd, started_at, message_count, archived) VALUES ('a6a3a4506513', 'webui', 'Demo', 'anthropic/claude-sonnet-5', '/srv/hermesml/unmarked_bak/store/projects/proj-a6a3', 1785433014.407314, 8, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (1, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/unmarked_bak/store/projects/proj-a6a3]
one', 1785433042.620057, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (2, 'a6a3a4506513', 'assistant', 'A1', 1785433044.902447, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (3, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/unmarked_bak/store/projects/proj-a6a3]
two (rows only)', 1785433070.730327, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (4, 'a6a3a4506513', 'assistant', 'A2', 1785433075.459439, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (5, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/unmarked_bak/store/projects/proj-a6a3]
three', 1785433097.606421, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (6, 'a6a3a4506513', 'assistant', 'A3', 1785433099.864262, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (7, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/unmarked_bak/store/projects/proj-a6a3]
four', 1785433124.045984, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (8, 'a6a3a4506513', 'assistant', 'A4', 1785433126.767973, 1, 0);
