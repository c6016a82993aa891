CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT NOT NULL, title TEXT, model TEXT, cwd TEXT,
    parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL, end_reason TEXT, message_count INTEGER DEFAULT 0,
    profile_name TEXT, archived INTEGER NOT NULL DEFAULT 0);
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id), role TEXT NOT NULL,
    content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL, finish_reason TEXT, reasoning TEXT,
    active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT);
INSERT INTO sessions (id, source, title, model, cwd, started_at, message_count, archived) VALUES ('a6a3a4506513', 'webui', 'Demo', 'anthropic/claude-sonnet-5', '/srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3', 1785433014.407314, 16, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (1, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
one', 1785433042.620057, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (2, 'a6a3a4506513', 'assistant', 'A1', 1785433044.902447, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (3, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
two', 1785433070.730327, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (4, 'a6a3a4506513', 'assistant', 'A2', 1785433075.459439, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (5, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q3', 1785433120.013051, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (6, 'a6a3a4506513', 'assistant', 'a3', 1785433123.666193, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (7, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q4', 1785433144.257298, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (8, 'a6a3a4506513', 'assistant', 'a4', 1785433147.953659, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (9, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q5', 1785433177.428156, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (10, 'a6a3a4506513', 'assistant', 'a5', 1785433181.320033, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (11, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q6', 1785433207.150002, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (12, 'a6a3a4506513', 'assistant', 'a6', 1785433209.335588, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (13, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q7', 1785433235.191003, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (14, 'a6a3a4506513', 'assistant', 'a7', 1785433237.339771, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (15, 'a6a3a4506513', 'user', '[Workspace::v1: /srv/hermesml/undo_long_ago_torn/store/projects/proj-a6a3]
q8', 1785433259.550589, 1, 0);
INSERT INTO messages (id, session_id, role, content, timestamp, active, compacted) VALUES (16, 'a6a3a4506513', 'assistant', 'a8', 1785433263.220583, 1, 0);
